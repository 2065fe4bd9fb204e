interface PanelProps {
  readonly id: string
  readonly title: string
  readonly note?: React.ReactNode
  /** Controls at the right end of the title. */
  readonly tools?: React.ReactNode
  readonly children: React.ReactNode
}

/** A section of the page with its title and controls. */
export function Panel({ id, title, note, tools, children }: PanelProps): React.ReactNode {
  return (
    <section id={id} className="panel" aria-labelledby={`${id}-title`}>
      <header className="panel-head">
        <h2 id={`${id}-title`}>{title}</h2>
        {note !== undefined && <span className="panel-note">{note}</span>}
        {tools !== undefined && <div className="panel-tools">{tools}</div>}
      </header>
      {children}
    </section>
  )
}
