// The commands as a user types them: what they print, where errors point, and what the exit code says.
import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { eventually } from '../server/plant.fixture.ts'
import { hitLines, millrace, ONE_FILE, PIPELINE, project, Running } from './cli.fixture.ts'

describe('being called wrongly', () => {
  test('unknown words answer with the nearest; the exit code is 2', async () => {
    const folder = project()
    for (const [args, expected] of [
      [['tpics'], /no command `tpics`; did you mean `topics`/],
      [['--prot'], /no flag `--prot`/],
      [['tail', 'x', '--folow'], /did you mean `--follow`/],
      [['--debug'], /`--debug` needs a command/],
      [['--data=x', 'topics'], /`--data` needs a command.*\n {2}fix: .*`npx millrace COMMAND --data`/],
      [['topics', 'craete', 'x'], /did you mean `create`/],
      [['topics', 'create'], /needs the name of a topic/],
      [['dlq', 'lst'], /did you mean `list`/],
      [['start'], /start needs FILE/],
      [['tail', 'a', 'b'], /`b` is one too many/],
      [['tail', 'a', '--limit'], /`--limit` needs a value: N/],
      [['tail', 'a', '--follow=yes'], /takes no value/],
    ] as const) {
      const { code, errors, out } = await millrace(folder, args)
      assert.equal(code, 2, args.join(' '))
      assert.match(errors, expected)
      assert.match(errors, /^error MR_CLI_USAGE: .*\n {2}fix: /)
      assert.equal(out, '')
    }
    const json = await millrace(folder, ['--json'])
    assert.deepEqual([json.code, json.errors.startsWith('{"error":{"code":"MR_CLI_USAGE","message":"`--json` needs a command')], [2, true])
  })

  test('help has examples for each command', async () => {
    const folder = project()
    const { out, code } = await millrace(folder, ['--help'])
    assert.equal(code, 0)
    const names = [...out.matchAll(/^ {2}(\w+)/gm)]
      .map((match) => match[1] as string)
      .filter((name) => name !== 'npx' && name !== 'millrace')
    assert.ok(names.length >= 13)
    for (const name of ['init', 'dev', 'start', 'plan', 'replay', 'doctor']) {
      const help = await millrace(folder, [name, '--help'])
      assert.equal(help.code, 0)
      assert.match(help.out, /Examples:\n {2}(npx millrace|cd) /)
    }
    assert.match((await millrace(folder, ['--version'])).out, /^\d+\.\d+\.\d+\n$/)
    assert.equal((await millrace(folder, [])).code, 2)
  })

  test('errors of settings and of the user file point at their line, stacks come only when asked for', async () => {
    const folder = project({
      'millrace.yaml': 'host: 127.0.0.1\nprot: 1\n',
      'broken.ts': 'export default 1 +\n',
      'throws.ts': `const a = 1\nthrow new Error('boom')\n`,
      'empty.ts': 'export const x = 1\n',
      'nothing.ts': '',
      'package-gone.ts': `import { a } from 'no-such-package'\nexport default a\n`,
      'file-gone.ts': `import { a } from './no-such-file.ts'\nexport default a\n`,
      'data.json': '{}',
      'bad.ts': PIPELINE.replace("'url')", "'urll')"),
      'one-file.ts': ONE_FILE,
    })
    const yaml = await millrace(folder, ['topics'])
    assert.equal(yaml.code, 1)
    assert.match(yaml.errors, /did you mean `port`\?\n {2}at .*millrace\.yaml:2:1\n {2}fix: /)
    for (const [file, expected] of [
      ['broken.ts', /at .*broken\.ts:1/],
      ['throws.ts', /boom\n {2}at .*throws\.ts:2:7/],
      ['empty.ts', /it exports x, and no default/],
      ['nothing.ts', /it exports nothing, and no default/],
      ['package-gone.ts', /no-such-package.*\n {2}at .*package-gone\.ts\n {2}fix: .*npm install no-such-package/],
      ['file-gone.ts', /no-such-file\.ts.*\n {2}at .*file-gone\.ts\n {2}fix: Correct the path/],
      ['data.json', /is no TypeScript or JavaScript file/],
      ['.', /is a folder\.[^]*fix: Name the file .*`bad\.ts`/],
      ['bad.ts', /MR_PLAN_FIELD_UNKNOWN: .*urll.*\n {2}at .*bad\.ts:4/],
      ['one-file.ts', /MR_PLAN_PLACE_TAKEN: .*out\.ndjson` is written by `a-out` of the pipeline `a` at .*:3 .*\n {2}at .*one-file\.ts:3/],
      ['emty.ts', /did you mean `empty\.ts`/],
    ] as const) {
      const { code, errors } = await millrace(folder, ['check', file, '--config', 'none.yaml'].slice(0, 2), '')
      assert.equal(code, 1, file)
      // The settings are read first.
      assert.match(errors, /MR_SETTINGS_INVALID/)
      writeFileSync(path.join(folder, 'good.yaml'), '')
      const again = await millrace(folder, ['check', file, '--config', 'good.yaml'])
      assert.match(again.errors, expected)
      assert.doesNotMatch(again.errors, /\n {4}at /)
    }
    const debug = await millrace(folder, ['check', 'throws.ts', '--config', 'good.yaml', '--debug'])
    assert.match(debug.errors, /\n {4}at /)
    const json = await millrace(folder, ['check', 'throws.ts', '--config', 'good.yaml', '--json'])
    assert.equal((JSON.parse(json.errors) as { readonly error: { readonly code: string } }).error.code, 'MR_CLI_FILE')
  })
})

test('a table shows the times of its rows as times, and tells programs milliseconds', async () => {
  const folder = project({
    'pipeline.ts': `import { max, pipeline, t, topic } from 'millrace'
const hits = topic('hits', { value: t.object({ at: t.time(), url: t.string() }), eventTime: 'at' })
export default pipeline('web', (mill) => {
  mill.from(hits).groupBy('url').aggregate({ last: max('at') }, { name: 'last' }).toTable('last')
}, { idleMs: 50 })
`,
  })
  const plant = new Running(folder, ['start', 'pipeline.ts', '--port', '0'])
  await plant.says(/millrace runs/)
  await millrace(folder, ['produce', 'hits'], hitLines(1))
  const shown = await eventually(
    () => millrace(folder, ['table', 'last']),
    ({ out }) => out.startsWith('url'),
  )
  assert.match(shown.out, /^url +last\n\/0 +2026-01-01T00:00:00Z\n/)
  assert.equal((await millrace(folder, ['table', 'last', '--json'])).out, '{"url":"/0","last":1767225600000}\n')
  assert.equal(await plant.stop(), 0)
})

describe('without a server', () => {
  test('commands open the folder; without data they say so', async () => {
    const folder = project({ 'pipeline.ts': PIPELINE })
    const nothing = await millrace(folder, ['topics'])
    assert.equal(nothing.code, 1)
    assert.match(nothing.errors, /MR_SERVER_UNREACHABLE: no server runs for this folder, and the folder has no data/)
    assert.ok(!existsSync(path.join(folder, 'millrace-data')))
    assert.match((await millrace(folder, ['topics', 'create', 'orders', '--partitions', '2'])).out, /orders created/)
    assert.match((await millrace(folder, ['produce', 'orders', '--key', 'k'], '{"a":1}\n{"a":2}\n')).out, /2 events appended/)
    assert.match((await millrace(folder, ['produce', 'orders', '--value', '{"a":3}', '--json'])).out, /"count":1/)
    assert.match((await millrace(folder, ['produce', 'orders', '--value', '1', '--time', 'soon'])).errors, /MR_CLI_USAGE: `--time` must be/)
    assert.match(
      (await millrace(folder, ['table', 'hourly'])).errors,
      /MR_SERVER_UNREACHABLE: no server runs.*\n {2}fix: .*`npx millrace start FILE`/,
    )
    assert.equal((await millrace(folder, ['tail', 'orders', '--partition', '1', '--from', 'latest'])).errors, 'no records there\n')
    const tail = await millrace(folder, ['tail', 'orders', '--from', 'earliest', '--json'])
    assert.deepEqual(
      tail.out
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { readonly value: unknown }).value).length,
      3,
    )
    const list = await millrace(folder, ['topics'])
    assert.match(list.out, /^topic +partitions +records +size +kept\norders +2 +3 /)
    assert.match((await millrace(folder, ['topics', 'set', 'orders', '--retention-ms', '1000'])).out, /orders changed/)
    assert.match((await millrace(folder, ['topics', '--json'])).out, /"retentionMs":1000/)
    const empty = await millrace(folder, ['produce', 'orders'], '\n')
    assert.match(empty.errors, /MR_HTTP_BODY_EMPTY/)
    assert.match((await millrace(folder, ['produce', 'oders', '--value', '1'])).errors, /did you mean `orders`/)
    const fsck = await millrace(folder, ['fsck'])
    assert.deepEqual([fsck.code, fsck.out.endsWith('sound\n')], [0, true])
    assert.match((await millrace(folder, ['topics', 'delete', 'orders'])).out, /orders deleted/)
    assert.equal((await millrace(folder, ['replay', 'web'])).code, 1)
  })

  test('plan says what a first start makes, and doctor what the machine lacks', async () => {
    const folder = project({ 'pipeline.ts': PIPELINE })
    const { out, code } = await millrace(folder, ['plan', 'pipeline.ts'])
    assert.equal(code, 0)
    assert.match(out, /^pipeline web\n {2}hits .*at pipeline\.ts:4/)
    assert.match(out, /table per_minute: exactly once/)
    assert.match(out, /has not run on this data; starting it makes:\n {2}\+ /)
    const doctor = await millrace(folder, ['doctor', '--port', '0'])
    assert.equal(doctor.code, 0)
    assert.equal(doctor.out.split('\n').filter((line) => line.startsWith('ok')).length, 5)
    const sick = await millrace(folder, ['doctor', '--port', '0', '--data', 'package.json/data'])
    assert.equal(sick.code, 1)
    assert.match(sick.out, /problem folder .*\n +fix: /)
  })

  test('init makes a project that is valid, and overwrites nothing', async () => {
    const folder = project()
    const made = await millrace(folder, ['init'])
    // The package.json of this folder is in the way.
    assert.equal(made.code, 1)
    assert.match(made.errors, /MR_CLI_FOLDER_TAKEN: the folder has package\.json already; nothing was written/)
    assert.ok(!existsSync(path.join(folder, 'pipeline.ts')))
    assert.equal((await millrace(folder, ['init', 'plant'])).code, 0)
    assert.match((await millrace(folder, ['check', 'plant/pipeline.ts'])).out, /loads: web/)
    assert.ok(existsSync(path.join(folder, 'plant/.gitignore')))
    assert.match((await millrace(folder, ['init', 'package.json'])).errors, /MR_CLI_FOLDER_TAKEN: there is a file of this name/)
  })
})

describe('with a server', () => {
  test('commands speak to it, and its folder and port are named when they are taken', async () => {
    const folder = project({ 'pipeline.ts': PIPELINE })
    const server = new Running(folder, ['start', 'pipeline.ts', '--port', '0'])
    const [, url = ''] = await server.says(/page +(http:\/\/127\.0\.0\.1:\d+)/)
    const port = new URL(url).port
    assert.match((await millrace(folder, ['produce', 'hits'], `${hitLines(30)}{broken\n`)).out, /31 events appended to hits/)
    const rows = await eventually(
      () => millrace(folder, ['table', 'per_minute', '--json']),
      ({ out }) => out.split('\n').length === 4,
    )
    assert.deepEqual(
      rows.out
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { readonly hits: number }).hits),
      [10, 10, 10],
    )
    assert.match((await millrace(folder, ['table'])).out, /per_minute +web +url, windowStart +3/)
    assert.match((await millrace(folder, ['tail', 'hits', '-n', '1', '--port', port])).out, /\{broken|"url":/)
    assert.match((await millrace(folder, ['dlq', 'list'])).out, /web +hits +MR_CODEC_JSON_INVALID +1/)
    assert.match((await millrace(folder, ['dlq', 'show', 'web'])).out, /letter 0 .*\n(.*\n)+ {2}\{broken/)
    assert.match(
      (await millrace(folder, ['doctor', '--port', '0'])).out,
      /ok +server +collector: works\n(.*\n)*ok +server +pipeline web: works/,
    )
    assert.equal((await millrace(folder, ['dlq', 'retry', 'web'])).code, 2)
    const none = await millrace(folder, ['dlq', 'retry', 'web', '--code', 'MR_NOPE'])
    assert.deepEqual([none.code, /^no open letter fits; there is: 1 MR_\w+ at `\w+`\n$/.test(none.errors)], [1, true], none.errors)
    assert.match((await millrace(folder, ['dlq', 'retry', 'web', '--all'])).out, /1 letter is on the way back in/)
    await eventually(
      () => millrace(folder, ['dlq', 'discard', 'web', '--all']),
      ({ out }) => out === '1 letter is discarded\n',
    )
    assert.match((await millrace(folder, ['dlq', 'list'])).out, /^no dead letters/)
    assert.match((await millrace(folder, ['replay', 'web', '--id', 'x'])).out, /finished: \d+ rows read/)
    assert.match((await millrace(folder, ['table', 'per_minute', '--replay', 'x'])).out, /3 of 3 rows/)
    assert.match((await millrace(folder, ['replay', 'list'])).out, /x +web +finished +31 +per_minute/)
    for (const [args, expected] of [
      [['replay', 'web', '--topic', 'hit', '--to-offset', '1'], /does not read the topic `hit`; did you mean `hits`\?[^]*fix: .*--help/],
      [['replay', 'web', '--topic', 'reading'], /MR_CLI_USAGE: [^]*it reads: hits[^]*fix: .*`npx millrace replay --help`/],
      [['replay', 'web', '--from', 'soon'], /MR_CLI_USAGE: `--from` must be a time: .*\n {2}fix: .*`npx millrace replay --help`/],
      [['replay', 'web', '--to-offset', '9'], /MR_CLI_USAGE: `--topic` must be given with offsets\.\n/],
      [['tail', 'hits', '--from', 'foo'], /MR_CLI_USAGE: `--from` must be .*value=`foo`\n {2}fix: .*`npx millrace tail --help`/],
      [['dlq', 'show', 'web', '-n', 'ten'], /MR_CLI_USAGE: `--limit` must be a whole number from 1 to 1000\. value=`ten`\n/],
    ] as const) {
      const { code, errors } = await millrace(folder, args)
      assert.match(errors, expected)
      assert.deepEqual([code, /HTTP|openapi|body/.test(errors)], [2, false], errors)
    }
    const beyond = await millrace(folder, ['replay', 'web', '--topic', 'hits', '--from-offset', '300', '--to-offset', '500'])
    assert.deepEqual([beyond.code, /MR_REPLAY_EMPTY/.test(beyond.errors)], [1, true])
    const later = await millrace(folder, ['replay', 'web', '--from', '2030-01-01', '--id', 'later'])
    assert.deepEqual([later.code, /MR_REPLAY_EMPTY/.test(later.errors)], [1, true])
    assert.match((await millrace(folder, ['replay', 'delete', 'x'])).out, /x deleted/)
    assert.equal((await millrace(folder, ['replay', 'delete', 'x'])).code, 1)
    assert.match((await millrace(folder, ['plan', 'pipeline.ts'])).out, /= `per-minute` goes on with its state/)
    const second = await millrace(folder, ['start', 'pipeline.ts', '--port', '0'])
    assert.match(second.errors, /MR_LOG_LOCKED: .*pid=`\d+`/)
    const other = await millrace(folder, ['start', 'pipeline.ts', '--port', port, '--data', 'other'])
    assert.match(
      other.errors,
      /MR_SERVER_PORT_TAKEN: the port is taken by another millrace\. .*folder=`.*millrace-data`\n {2}fix: .*--port N/,
    )
    assert.match((await millrace(folder, ['fsck'])).errors, /MR_LOG_LOCKED/)
    assert.equal(await server.stop(), 0)
    assert.match(server.text, /SIGTERM: stopping/)
    assert.match((await millrace(folder, ['tail', 'hits', '--port', port])).errors, /MR_SERVER_UNREACHABLE/)
  })

  test('a renamed operator is said before anything runs', async () => {
    const folder = project({ 'pipeline.ts': PIPELINE })
    const server = new Running(folder, ['start', 'pipeline.ts', '--port', '0'])
    await server.says(/page/)
    assert.equal(await server.stop('SIGINT'), 0)
    writeFileSync(path.join(folder, 'pipeline.ts'), PIPELINE.replace('per-minute', 'each-minute'))
    const { code, out } = await millrace(folder, ['plan', 'pipeline.ts'])
    assert.match(out, /against what ran last:/)
    assert.equal(code, 1)
    assert.match(
      out,
      /`start` refuses this as it is:\n {2}--rebuild reads 0 records of `hits` again; only tables.*\n {2}--drop-state gives up/,
    )
    assert.match(out, /- no operator is named `per-minute` any more: its state would be lost\.[^]*Was it renamed to `each-minute`/)
    const refused = await millrace(folder, ['start', 'pipeline.ts', '--port', '0'])
    assert.equal(refused.code, 1)
    assert.match(refused.errors, /MR_RUNTIME_STATE_LOST: no operator is named `per-minute` any more[^]*fix: .*--drop-state/)
    const dropping = new Running(folder, ['start', 'pipeline.ts', '--port', '0', '--drop-state'])
    await dropping.says(/page/)
    assert.equal(await dropping.stop(), 0)
    assert.equal((await millrace(folder, ['plan', 'pipeline.ts'])).code, 0)
  })

  test('tail follows until it is stopped', async () => {
    const folder = project({ 'pipeline.ts': PIPELINE })
    const server = new Running(folder, ['start', 'pipeline.ts', '--port', '0', '--json'])
    const [line] = await server.says(/^\{.*"url".*\}$/m)
    assert.deepEqual((JSON.parse(line) as { readonly pipelines: unknown }).pipelines, ['web'])
    const tail = new Running(folder, ['tail', 'hits', '--follow', '--from', 'earliest'])
    await millrace(folder, ['produce', 'hits'], hitLines(2))
    await tail.says(/"\/1"/)
    assert.equal(await tail.stop('SIGINT'), 0)
    await server.stop()
  })
})
