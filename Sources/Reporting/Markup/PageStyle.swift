/// The look of all pages, light and dark by what the reader's system says.
enum PageStyle {
    static let text = """
        :root { color-scheme: light dark; --ground: #ffffff; --raised: #f4f5f7; --ink: #1b1f24; --quiet: #59626d;
          --line: #d3d8de; --accent: #0b5cad; --grid: #e4e7eb; --s0: #0072b2; --s1: #d55e00; --s2: #009e73;
          --s3: #a3407f; --s4: #8a6d00; --s5: #3a7ca5; --s6: #4d4d4d; --front: #59626d; }
        @media (prefers-color-scheme: dark) { :root { --ground: #14171a; --raised: #1e2328; --ink: #e8eaed;
          --quiet: #a3adb8; --line: #3a424b; --accent: #6cb2f5; --grid: #2b3138; --s0: #56b4e9; --s1: #f08a3c;
          --s2: #2cc295; --s3: #d98bc0; --s4: #f0d04a; --s5: #9ad1ef; --s6: #c9ced4; --front: #a3adb8; } }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--ground); color: var(--ink);
          font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
        main { max-width: 1180px; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
        h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; overflow-wrap: anywhere; }
        h2 { font-size: 1.15rem; margin: 0 0 .5rem; }
        h3 { font-size: .95rem; font-weight: 600; margin: 0 0 .25rem; }
        section { margin-top: 2.25rem; }
        p { margin: .25rem 0 .75rem; max-width: 75ch; }
        .quiet { color: var(--quiet); }
        .cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(215px, 1fr)); gap: .75rem; }
        .card { background: var(--raised); border: 1px solid var(--line); border-radius: 8px; padding: .7rem .9rem; }
        .card .name { color: var(--quiet); font-size: .85rem; }
        .card .value { font-size: 1.15rem; font-weight: 600; line-height: 1.3; overflow-wrap: anywhere; }
        .card .note { color: var(--quiet); font-size: .8rem; overflow-wrap: anywhere; }
        .charts { display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: flex-start; }
        figure { margin: 0; max-width: 100%; }
        figcaption { color: var(--quiet); font-size: .85rem; max-width: 60ch; }
        .mini { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(330px, 100%), 1fr)); gap: 1.25rem; }
        svg { display: block; max-width: 100%; height: auto; font: 11px system-ui, -apple-system, "Segoe UI", Roboto,
          "DejaVu Sans", sans-serif; }
        svg text { fill: var(--ink); } svg .quiet { fill: var(--quiet); }
        svg .axis { stroke: var(--quiet); fill: none; } svg .grid { stroke: var(--grid); fill: none; }
        .wide { display: block; } .narrow { display: none; }
        @media (max-width: 760px) { .wide { display: none; } .narrow { display: block; } }
        .scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; }
        table { border-collapse: collapse; width: 100%; font-size: .85rem; font-variant-numeric: tabular-nums; }
        th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; text-align: left; }
        th { background: var(--raised); font-weight: 600; } tbody tr:last-child td { border-bottom: 0; }
        .number { text-align: right; } td.text { max-width: 34rem; overflow-wrap: anywhere; white-space: normal; }
        tr.marked td { background: var(--raised); font-weight: 600; }
        details { margin-top: .75rem; } summary { cursor: pointer; color: var(--accent); }
        pre { background: var(--raised); border: 1px solid var(--line); border-radius: 8px; padding: .75rem;
          overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; }
        .readout { background: var(--raised); border: 1px solid var(--line); border-radius: 8px; padding: .5rem .9rem;
          min-height: 2.6rem; margin-top: .5rem; font-size: .9rem; overflow-wrap: anywhere; }
        .limits { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; margin: .5rem 0; }
        .limits input, .limits select { font: inherit; color: inherit; background: var(--ground);
          border: 1px solid var(--line); border-radius: 6px; padding: .25rem .5rem; max-width: 100%; }
        .limits input { width: 9rem; }
        .point { cursor: pointer; } .point:focus { outline: none; }
        .point:hover, .point:focus, .point.chosen { stroke: var(--ink); stroke-width: 2.5; }
        @media print { details { display: block; } .scroll { overflow: visible; } }
        """
}
