// Entry of the page.
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import '@xyflow/react/dist/base.css'
import 'uplot/dist/uPlot.min.css'
import './styles/tokens.css'
import './styles/page.css'
import './styles/topology.css'
import './styles/panels.css'
import { browserDoors } from './feed/browser-doors.ts'
import { PlantFeed } from './feed/plant-feed.ts'
import { PlantViews } from './model/plant-view.ts'
import { App } from './view/app.tsx'

const feed = new PlantFeed(browserDoors)
const views = new PlantViews(feed)
feed.open()

const root = document.querySelector('#root')
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <App views={views} reopen={() => feed.open()} />
    </StrictMode>,
  )
}
