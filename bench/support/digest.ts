// A digest of a set of texts that does not depend on their order, so that results can be compared without keeping or sorting them.

export class Digest {
  #count = 0
  #sum = 0
  #mixed = 0

  add(text: string): void {
    let hash = 0x811c9dc5
    for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
    hash ^= hash >>> 15
    this.#count++
    this.#sum = (this.#sum + (hash >>> 0)) % 0x100000000
    this.#mixed = (this.#mixed + Math.imul(hash, hash | 1)) | 0
  }

  toString(): string {
    return `${this.#count} items, digest ${this.#sum.toString(16)}.${(this.#mixed >>> 0).toString(16)}`
  }
}
