// The page over a real plant: the flights pipeline, fed with real departures and their faults for as long as it takes, looked at in Chromium
// at two widths, light and dark. Screenshots lie in the folder that the test names.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type Plant, startPlant } from 'millrace'
import { type Browser, chromium, type Page } from 'playwright-core'
import { feedFlights } from './feed.ts'
import { readFlights } from './input.ts'

const ROOT = dirname(dirname(import.meta.dirname))
/** More than is sent while the test runs, so that everything moves in each picture. */
const ROWS = 400_000
/** Simulated milliseconds per real one: ten hours of departures a second. */
const SPEED = 36_000
/** A day of departures: windows have closed, and the first wrong clock has come. */
const WINDOWS_ROWS = 15_000
const TEST_MS = 120_000

const folder = mkdtempSync(join(tmpdir(), 'millrace-page-'))
const pictures = mkdtempSync(join(tmpdir(), 'millrace-page-pictures-'))
const stop = new AbortController()
let plant: Plant
let browser: Browser
let feeding: Promise<unknown>

/** Panels that stand on the page, and what each must show of this plant. */
async function requireEverything(page: Page, width: number): Promise<void> {
  const pipeline = plant.status().pipelines[0]
  assert.ok(pipeline !== undefined)
  assert.equal(await page.locator('.plan-node').count(), pipeline.nodes.length)
  const labels = await page.locator('.plan-label').allInnerTexts()
  assert.ok(
    labels.some((label) => /[1-9].*\/s/.test(label)),
    labels.join(' | '),
  )
  const chart = await page.locator('.chart canvas').boundingBox()
  assert.ok(chart !== null && chart.width > 250 && chart.height > 150)

  await page.waitForSelector('[data-testid=rows] tbody tr')
  const row = await page.locator('[data-testid=rows] tbody tr').first().innerText()
  assert.match(row, /[A-Z]{3}\s+2001-01-\d\d \d\d:00/)

  await page.waitForSelector('[data-testid=tail] li')
  assert.match(await page.locator('[data-testid=tail] li').first().innerText(), /"?id"?.*\d/)

  await page.waitForSelector('[data-testid=letter-group]')
  assert.match(await page.locator('[data-testid=letter-group]').first().innerText(), /MR_CODEC_JSON_INVALID|MR_CODEC/)

  const windows = await page.locator('[data-testid=window]').allInnerTexts()
  assert.ok(windows.length > 0, 'no window waits')
  for (const text of windows) assert.match(text, /Waits for the watermark .* it is .*: .*(?:departures partition 0|producer)/)
  assert.ok((await page.locator('[data-testid=tasks] tbody tr').count()) >= pipeline.tasks.length)
  assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width)
}

async function open(width: number, scheme: 'light' | 'dark'): Promise<{ readonly page: Page; readonly faults: string[] }> {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme: scheme, timezoneId: 'UTC' })
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') faults.push(message.text())
  })
  await page.goto(plant.url)
  await page.waitForSelector('[data-testid=connection][data-tone=good]')
  await page.waitForSelector('.plan-node')
  return { page, faults }
}

describe('the page over a real plant', () => {
  before(async () => {
    const dist = join(folder, 'page')
    const built = spawnSync('node_modules/.bin/vite', ['build', 'packages/console', '--outDir', dist, '--logLevel', 'error'], {
      cwd: ROOT,
      encoding: 'utf8',
    })
    assert.equal(built.status, 0, built.stderr)
    // The pipeline asks for its archive's place when it is loaded.
    process.env['MILLRACE_DATA'] = join(folder, 'data')
    const { default: definition } = await import('./pipeline.ts')
    plant = await startPlant({ folder: join(folder, 'data'), pipelines: [definition], port: 0, page: dist })
    browser = await chromium.launch({
      executablePath: '/usr/bin/chromium',
      args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking'],
    })
    const flights = await readFlights(ROWS)
    const options = { url: `${plant.url}/topics/departures`, from: 0, signal: stop.signal }
    await new Promise<void>((resolve, reject) => {
      feeding = feedFlights(flights, {
        ...options,
        speed: SPEED,
        onProgress: ({ done }) => {
          if (done > WINDOWS_ROWS) resolve()
        },
      })
      feeding.catch(reject)
    })
  })

  after(async () => {
    stop.abort()
    await feeding
    await browser.close()
    await plant.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  for (const scheme of ['light', 'dark'] as const) {
    for (const width of [1440, 390]) {
      test(`shows everything at ${width} pixels, ${scheme}`, { timeout: TEST_MS }, async (context) => {
        const { page, faults } = await open(width, scheme)
        await requireEverything(page, width)
        const file = join(pictures, `page-${width}-${scheme}.png`)
        // Two seconds of figures: the chart has more than a point.
        await page.waitForTimeout(2000)
        await page.screenshot({ path: file, fullPage: true })
        context.diagnostic(file)
        await page.close()
        assert.deepEqual(faults, [])
      })
    }
  }

  test('the button sends a letter back in, which fails again as it must', { timeout: TEST_MS }, async () => {
    const { page, faults } = await open(1440, 'light')
    const group = page.getByTestId('letter-group').filter({ hasText: 'MR_CODEC' }).first()
    await group.locator('.letter-open').click()
    await group.locator('.letter').first().getByRole('button', { name: 'Re-inject' }).click()
    await page.getByTestId('retry-result').getByText('1 letter went back in').waitFor()
    const retried = async (): Promise<boolean> => {
      const answer = await fetch(`${plant.url}/api/dead-letters/flights?limit=100`)
      const letters = (await answer.json()) as readonly { readonly attempt: number; readonly state: string }[]
      return letters.some(({ state }) => state === 'retried') && letters.some(({ attempt }) => attempt === 2)
    }
    for (const endsAt = Date.now() + 20_000; !(await retried());) {
      assert.ok(Date.now() < endsAt, 'the letter never came back')
      await page.waitForTimeout(100)
    }
    await page.close()
    assert.deepEqual(faults, [])
  })
})
