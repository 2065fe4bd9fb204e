// The few hooks that several panels share.
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react'

/** Width of an element in pixels, kept up to date; 0 before the first measure. */
export function useWidth<T extends HTMLElement>(): readonly [React.RefObject<T | null>, number] {
  const ref = useRef<T>(null)
  const [width, setWidth] = useState(0)
  useLayoutEffect(() => {
    const element = ref.current
    if (element === null) return undefined
    setWidth(element.clientWidth)
    const observer = new ResizeObserver(() => setWidth(element.clientWidth))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  return [ref, width]
}

/** True while the media query holds. */
export function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => matchMedia(query).matches)
  useEffect(() => {
    const list = matchMedia(query)
    const update = (): void => setMatches(list.matches)
    update()
    list.addEventListener('change', update)
    return () => list.removeEventListener('change', update)
  }, [query])
  return matches
}

/** What is asked for takes at most one part in so many of the server's time: a scan of a large table is work. */
const REST_SHARE = 9
const REST_MS_MAX = 30_000

/** After a failure nothing is asked more often than this. */
const FAILED_MS = 3000

export interface Polled<T> {
  readonly value: T | null
  readonly error: Error | null
  /** Asks again at once. */
  readonly refresh: () => void
}

/**
 * Loads again and again, `everyMs` after the last answer, more seldom when answers take long, as long as the page is visible. What was loaded stays until the next answer, so
 * nothing flickers; a new `key` starts over.
 */
export function usePolled<T>(key: string, everyMs: number, load: (signal: AbortSignal) => Promise<T>): Polled<T> {
  const [state, setState] = useState<{ readonly key: string; readonly value: T | null; readonly error: Error | null }>({
    key,
    value: null,
    error: null,
  })
  const [round, setRound] = useState(0)
  const latest = useRef(load)
  useEffect(() => {
    latest.current = load
  })
  const refresh = useCallback(() => setRound((old) => old + 1), [])
  useEffect(() => {
    const abort = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const turn = async (): Promise<void> => {
      let waitMs = everyMs
      if (!document.hidden) {
        const startedAt = performance.now()
        try {
          const value = await latest.current(abort.signal)
          waitMs = Math.max(everyMs, Math.min(REST_MS_MAX, REST_SHARE * (performance.now() - startedAt)))
          if (!abort.signal.aborted) setState({ key, value, error: null })
        } catch (error) {
          waitMs = Math.max(everyMs, FAILED_MS)
          if (!abort.signal.aborted) setState((old) => ({ key, value: old.key === key ? old.value : null, error: error as Error }))
        }
      }
      if (!abort.signal.aborted) timer = setTimeout(() => void turn(), waitMs)
    }
    void turn()
    return () => {
      abort.abort()
      clearTimeout(timer)
    }
  }, [key, everyMs, round])
  return {
    value: state.key === key ? state.value : null,
    error: state.key === key ? state.error : null,
    refresh,
  }
}
