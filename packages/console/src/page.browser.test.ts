// The built page in a real Chromium, with a simulated plant behind it.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { type Browser, chromium, type Page } from 'playwright-core'
import { build } from 'vite'
import { type SampleServer, startSampleServer } from '../dev/sample-server.ts'

const ROOT = path.join(import.meta.dirname, '..')
const BUNDLE_GZ_BYTES_MAX = 350 * 1024

const dist = mkdtempSync(path.join(os.tmpdir(), 'millrace-console-'))
let server: SampleServer
let browser: Browser

interface Opened {
  readonly page: Page
  /** Errors of the page, of its console and of its requests. */
  readonly faults: string[]
}

async function open(options: { readonly width: number; readonly scheme: 'light' | 'dark' }): Promise<Opened> {
  const page = await browser.newPage({
    viewport: { width: options.width, height: 900 },
    colorScheme: options.scheme,
    timezoneId: 'Pacific/Auckland',
  })
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') faults.push(message.text())
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(server.address)) faults.push(`a request leaves the server: ${request.url()}`)
  })
  await page.goto(server.address)
  await page.waitForSelector('[data-testid=connection][data-tone=good]')
  await page.waitForSelector('.plan-node')
  return { page, faults }
}

async function closeClean({ page, faults }: Opened): Promise<void> {
  await page.close()
  assert.deepEqual(faults, [])
}

describe('the page', () => {
  before(async () => {
    await build({ root: ROOT, logLevel: 'error', build: { outDir: dist, emptyOutDir: true } })
    server = await startSampleServer({ dist })
    browser = await chromium.launch({
      executablePath: '/usr/bin/chromium',
      args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking'],
    })
  })

  after(async () => {
    await browser.close()
    await server.close()
    rmSync(dist, { recursive: true })
  })

  test('is small', () => {
    const files = readdirSync(path.join(dist, 'assets')).map((name) => gzipSync(readFileSync(path.join(dist, 'assets', name))).length)
    const bytes = files.reduce((sum, size) => sum + size, 0)
    assert.ok(bytes < BUNDLE_GZ_BYTES_MAX, `${bytes} bytes`)
  })

  for (const scheme of ['light', 'dark'] as const) {
    for (const width of [1440, 390]) {
      test(`shows everything at ${width} pixels, ${scheme}`, async () => {
        const opened = await open({ width, scheme })
        const { page } = opened
        const { pipelines } = server.plant.status()
        assert.equal(await page.locator('.plan-node').count(), pipelines[0]?.nodes.length)
        assert.equal(await page.locator('.plan-label').count(), 10)
        const canvas = await page.locator('.chart canvas').boundingBox()
        assert.ok(canvas !== null && canvas.width > 250 && canvas.height > 150)
        await page.waitForSelector('[data-testid=rows] tbody tr')
        await page.waitForSelector('[data-testid=tail] li')
        await page.waitForSelector('[data-testid=letter-group]')
        assert.equal(await page.locator('[data-testid=window]').count(), 2)
        assert.match(
          await page.getByTestId('sink').innerText(),
          /archive parquet.*\s+.* rows not published yet: .*\s+.*at the latest, earlier/,
        )
        assert.equal(await page.locator('[data-testid=tasks] tbody tr').count(), 5)
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width)
        const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor)
        assert.equal(ground === 'rgb(244, 246, 248)', scheme === 'light', ground)
        await closeClean(opened)
      })
    }
  }

  test('figures move while the picture stands', async () => {
    const opened = await open({ width: 1440, scheme: 'light' })
    const { page } = opened
    const places = (): Promise<(string | null)[]> =>
      page.locator('.react-flow__node').evaluateAll((nodes) => nodes.map((node) => node.getAttribute('style')))
    const rates = (): Promise<string[]> => page.locator('.plan-label').allTextContents()
    const [placesBefore, ratesBefore] = [await places(), await rates()]
    await page.waitForFunction(
      (old) => [...document.querySelectorAll('.plan-label')].map((label) => label.textContent).join() !== old,
      ratesBefore.join(),
    )
    assert.deepEqual(await places(), placesBefore)
    await closeClean(opened)
  })

  test('a node opens its details with keys alone, and Escape closes them', async () => {
    const opened = await open({ width: 1440, scheme: 'light' })
    const { page } = opened
    await page.getByRole('button', { name: /^per-hour, aggregate/ }).focus()
    await page.keyboard.press('Enter')
    const details = page.getByTestId('details')
    await details.waitFor()
    const text = await details.innerText()
    assert.match(text, /examples\/flights\/pipeline\.ts:28/)
    assert.match(text, /per-hour\/0/)
    assert.match(text, /Waits for the watermark .* producer ingest\/1 is active/)
    await page.keyboard.press('Escape')
    await details.waitFor({ state: 'detached' })
    await closeClean(opened)
  })

  test('the table filters by key and sorts by column', async () => {
    const opened = await open({ width: 1440, scheme: 'light' })
    const { page } = opened
    const column = (index: number): Promise<string[]> =>
      page.locator(`[data-testid=rows] tbody tr td:nth-child(${index})`).allTextContents()
    await page.waitForSelector('[data-testid=rows] tbody tr')
    assert.match((await column(2))[0] ?? '', /^2001-01-\d\d \d\d:00$/)
    const starts = await column(2)
    assert.deepEqual(starts, starts.toSorted().toReversed(), 'the newest first')
    await page.getByLabel('airport is').fill('JFK')
    await page.waitForFunction(() =>
      [...document.querySelectorAll('[data-testid=rows] tbody tr td:first-child')].every((cell) => cell.textContent === 'JFK'),
    )
    await page.getByRole('button', { name: 'flights', exact: true }).click()
    await page.waitForFunction(() => {
      const flights = [...document.querySelectorAll('[data-testid=rows] tbody tr td:nth-child(4)')].map((td) => Number(td.textContent))
      return flights.length > 5 && flights.every((value, index) => index === 0 || value <= (flights[index - 1] ?? 0))
    })
    await closeClean(opened)
  })

  test('the tail follows, filters, shows a record and stands still when paused', async () => {
    const opened = await open({ width: 1440, scheme: 'light' })
    const { page } = opened
    const first = (): Promise<string> => page.locator('[data-testid=tail] li').first().innerText()
    await page.waitForSelector('[data-testid=tail] li')
    const seen = await first()
    await page.waitForFunction((old) => (document.querySelector('[data-testid=tail] li') as HTMLElement).innerText !== old, seen)
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.locator('.tail-line').first().click()
    assert.match(await page.locator('.tail .json').innerText(), /^\{\n {2}"id": \d+,\n {2}"date": "2001/)
    await page.getByPlaceholder('filter by text').fill('no such text')
    assert.equal(await page.locator('[data-testid=tail] li').count(), 0)
    await page.getByPlaceholder('filter by text').fill('')
    const paused = await first()
    const before = server.plant.status().nowMs
    await page.waitForFunction(
      (then) => Number(document.querySelector('.clock')?.textContent?.slice(6, 8)) !== new Date(then).getUTCSeconds(),
      before,
    )
    assert.equal(await first(), paused)
    await closeClean(opened)
  })

  test('dead letters show their bytes and go back in, one and all', async () => {
    const opened = await open({ width: 1440, scheme: 'light' })
    const { page } = opened
    const group = page.getByTestId('letter-group').filter({ hasText: 'MR_CODEC_JSON_INVALID' })
    await group.locator('.letter-open').click()
    const letter = group.locator('.letter').first()
    assert.match(await letter.locator('.json').innerText(), /"distance":606,"orig$/)
    await letter.getByRole('button', { name: 'Hex' }).click()
    assert.match(await letter.locator('.json').innerText(), /^000000 {2}7b 22 69 64/)
    await letter.getByRole('button', { name: 'Re-inject' }).click()
    await page.getByTestId('retry-result').getByText('1 letter went back in').waitFor()
    await group
      .locator('.letter-head')
      .getByRole('button', { name: /^Re-inject/ })
      .click()
    await page
      .getByTestId('retry-result')
      .getByText(/[2-9]\d* letters went back in/)
      .waitFor()
    const [one, all] = server.plant.retries
    assert.equal(one?.ids?.length, 1)
    assert.deepEqual(all, { code: 'MR_CODEC_JSON_INVALID', operator: 'departures' })
    // What nobody wants back is discarded with two clicks.
    const other = page.getByTestId('letter-group').first()
    await other.getByRole('button', { name: 'Discard' }).click()
    await other.getByRole('button', { name: /^Really discard/ }).click()
    await page
      .getByTestId('retry-result')
      .getByText(/letters? discarded/)
      .waitFor()
    await closeClean(opened)
  })

  test('a lost connection is said, and taken up again', async () => {
    const { page } = await open({ width: 1440, scheme: 'dark' })
    server.setLost(true)
    await page.getByText(/No connection to the plant since/).waitFor()
    assert.equal(await page.getByTestId('connection').innerText(), 'connection lost')
    server.setLost(false)
    await page.getByText(/No connection to the plant since/).waitFor({ state: 'detached' })
    assert.equal(await page.getByTestId('connection').innerText(), 'live')
    await page.close()
  })

  test('asks for the token of a server that wants one', async () => {
    const guarded = await startSampleServer({ dist, token: 'open sesame' })
    const page = await browser.newPage()
    await page.goto(guarded.address)
    await page.getByLabel('Token').fill('wrong')
    await page.getByRole('button', { name: 'Open' }).click()
    await page.getByLabel('Token').fill('open sesame')
    await page.getByRole('button', { name: 'Open' }).click()
    await page.waitForSelector('[data-testid=rows] tbody tr')
    await page.waitForSelector('[data-testid=letter-group]')
    await page.close()
    await guarded.close()
  })
})
