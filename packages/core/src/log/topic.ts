// Names and settings of topics: defaults, limits, what may change. Shared by all logs, so that they refuse the same things.
import { MillraceError } from '../base/errors.ts'
import { BATCH_BYTES_MAX, BATCH_HEADER_BYTES } from '../codec/record-batch.ts'
import type { Topic, TopicSettings } from './log.ts'

export const PARTITIONS_MAX = 1024
export const BATCH_BYTES_MAX_DEFAULT = 16_777_216

/** Nothing is thrown away unless somebody asks for it: retention is for ever by default. */
export const TOPIC_DEFAULTS: TopicSettings = {
  partitions: 1,
  retentionMs: null,
  retentionBytes: null,
  compacted: false,
  internal: false,
  batchBytesMax: BATCH_BYTES_MAX_DEFAULT,
}

const NAME = /^[a-zA-Z0-9._-]{1,200}$/
const FIXED = ['partitions', 'compacted', 'internal'] as const
const RULES: { readonly [Name in keyof TopicSettings]: { readonly rule: string; readonly holds: (value: unknown) => boolean } } = {
  partitions: { rule: `a whole number from 1 to ${PARTITIONS_MAX}`, holds: (value) => isWhole(value, 1, PARTITIONS_MAX) },
  retentionMs: {
    rule: 'a whole number of milliseconds above 0, or null',
    holds: (value) => value === null || isWhole(value, 1, Number.MAX_SAFE_INTEGER),
  },
  retentionBytes: {
    rule: 'a whole number of bytes above 0, or null',
    holds: (value) => value === null || isWhole(value, 1, Number.MAX_SAFE_INTEGER),
  },
  compacted: { rule: 'true or false', holds: (value) => typeof value === 'boolean' },
  internal: { rule: 'true or false', holds: (value) => typeof value === 'boolean' },
  batchBytesMax: {
    rule: `a whole number of bytes from ${BATCH_HEADER_BYTES + 7} to ${BATCH_BYTES_MAX}`,
    holds: (value) => isWhole(value, BATCH_HEADER_BYTES + 7, BATCH_BYTES_MAX),
  },
}

/** @throws {MillraceError} `MR_TOPIC_INVALID` unless the name is 1-200 of a-z A-Z 0-9 . _ - and neither `.` nor `..`. */
export function requireTopicName(name: string): void {
  if (NAME.test(name) && name !== '.' && name !== '..') return
  throw new MillraceError('MR_TOPIC_INVALID', { message: 'the topic name is not valid', details: { topic: name } })
}

/** Settings of a new topic: the defaults with those given. Throws MR_TOPIC_INVALID that names the wrong one. */
export function newTopicSettings(name: string, given: Partial<TopicSettings> = {}): TopicSettings {
  requireTopicName(name)
  return merged(name, TOPIC_DEFAULTS, given)
}

/** `current` with the changes. Throws MR_TOPIC_INVALID for a wrong value, and for another value of a fixed setting. */
export function alteredSettings(topic: Topic, changes: Partial<TopicSettings>): TopicSettings {
  for (const setting of FIXED) {
    const value = changes[setting]
    if (value === undefined || value === topic.settings[setting]) continue
    throw new MillraceError('MR_TOPIC_INVALID', {
      message: 'the setting is fixed when a topic is created',
      details: { topic: topic.name, setting, value, current: topic.settings[setting] },
      fix: 'Create another topic with this setting and copy the records.',
    })
  }
  return merged(topic.name, topic.settings, changes)
}

/** Creating a topic that exists is no error when every setting that is given agrees; those not given are not compared. Else MR_TOPIC_EXISTS. */
export function requireAgreement(topic: Topic, given: Partial<TopicSettings> = {}): void {
  merged(topic.name, topic.settings, given)
  for (const setting of Object.keys(topic.settings) as (keyof TopicSettings)[]) {
    const value = given[setting]
    if (value === undefined || value === topic.settings[setting]) continue
    throw new MillraceError('MR_TOPIC_EXISTS', { details: { topic: topic.name, setting, value, current: topic.settings[setting] } })
  }
}

function merged(name: string, base: TopicSettings, given: Partial<TopicSettings>): TopicSettings {
  for (const [setting, value] of Object.entries(given)) {
    if (value === undefined) continue
    if (!Object.hasOwn(RULES, setting)) {
      throw new MillraceError('MR_TOPIC_INVALID', { message: 'a topic has no such setting', details: { topic: name, setting } })
    }
    const { rule, holds } = RULES[setting as keyof TopicSettings]
    if (holds(value)) continue
    throw new MillraceError('MR_TOPIC_INVALID', {
      message: `the setting must be ${rule}`,
      details: { topic: name, setting, value: String(value) },
    })
  }
  const value = <Name extends keyof TopicSettings>(setting: Name): TopicSettings[Name] => {
    const changed = given[setting]
    return changed === undefined ? base[setting] : (changed as TopicSettings[Name])
  }
  return {
    partitions: value('partitions'),
    retentionMs: value('retentionMs'),
    retentionBytes: value('retentionBytes'),
    compacted: value('compacted'),
    internal: value('internal'),
    batchBytesMax: value('batchBytesMax'),
  }
}

function isWhole(value: unknown, min: number, max: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
}
