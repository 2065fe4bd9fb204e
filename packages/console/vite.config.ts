// Builds the page into dist/: one document, one script, one style sheet. The server sends it with `default-src 'self'`, so nothing may be
// inlined as a `data:` address and nothing may come from elsewhere.
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

export default defineConfig({
  base: './',
  plugins: [react()],
  build: { target: 'es2023', assetsInlineLimit: 0, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 1500 },
})
