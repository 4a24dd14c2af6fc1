import CommandLineKit

/// Values by layer (down) and role (across), as coloured cells with the number in them.
struct HeatMap {
    /// One cell.
    struct Cell {
        let layer: Int?
        let role: String
        /// nil for a cell without a value, such as a matrix that was kept dense.
        let value: Double?
        /// A few characters, shown in the cell.
        let label: String
        /// Shown when the cell is pointed at.
        let detail: String
    }

    let title: String
    /// What the colours mean, with unit.
    let unit: String
    let cells: [Cell]
    /// Colours begin at zero for errors, at the smallest value for shares.
    let scale: ColorScale

    private static let cellWidth = 40.0, cellHeight = 18.0, left = 46.0, top = 84.0

    var figure: Markup {
        """
        <figure>
        <h3>\(title)</h3>
        \(picture)
        </figure>
        """
    }

    private var picture: Markup {
        let roles = cells.reduce(into: [String]()) { if !$0.contains($1.role) { $0.append($1.role) } }
        let layers = Set(cells.map { $0.layer ?? -1 }).sorted()
        let rows = Dictionary(uniqueKeysWithValues: layers.enumerated().map { ($1, $0) })
        let columns = Dictionary(uniqueKeysWithValues: roles.enumerated().map { ($1, $0) })
        let bottom = Self.top + Double(layers.count) * Self.cellHeight
        let width = max(Self.left + Double(roles.count) * Self.cellWidth + 40, 300)
        let height = bottom + 58
        let headings = roles.enumerated().map { index, role -> Markup in
            let x = Self.left + (Double(index) + 0.6) * Self.cellWidth
            let y = Self.top - 6
            return "<text transform=\"translate(\(x) \(y)) rotate(-45)\">\(role)</text>"
        }
        let numbers = layers.enumerated().map { index, layer -> Markup in
            let y = Self.top + (Double(index) + 0.5) * Self.cellHeight + 4
            return
                "<text x=\"\(Self.left - 6)\" y=\"\(y)\" text-anchor=\"end\">\(layer < 0 ? "–" : String(layer))</text>"
        }
        let boxes = cells.map { cell in
            box(cell, row: rows[cell.layer ?? -1, default: 0], column: columns[cell.role, default: 0])
        }
        return """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(width)" height="\(height)" \
            viewBox="0 0 \(width) \(height)" role="img" aria-label="\(title) by layer and role">
            <text class="quiet" x="2" y="\(Self.top - 6)">layer</text>
            \(headings)
            \(numbers)
            \(boxes)
            \(legend(at: bottom + 14))
            </svg>
            """
    }

    private func box(_ cell: Cell, row: Int, column: Int) -> Markup {
        let x = Self.left + Double(column) * Self.cellWidth
        let y = Self.top + Double(row) * Self.cellHeight
        let middle = x + Self.cellWidth / 2 - 0.5
        let base = y + Self.cellHeight / 2 + 3.5
        let size: Markup = "x=\"\(x)\" y=\"\(y)\" width=\"\(Self.cellWidth - 1)\" height=\"\(Self.cellHeight - 1)\""
        let title: Markup = "<title>\(cell.detail)</title>"
        guard let value = cell.value else {
            return """
                <g>\(title)<rect \(size) fill="none" stroke="var(--line)" />\
                <text class="quiet" x="\(middle)" y="\(base)" text-anchor="middle">\(cell.label)</text></g>
                """
        }
        let color = scale.color(of: value)
        let ink = color.hasDarkText ? "#111111" : "#ffffff"
        return """
            <g>\(title)<rect \(size) fill="\(color.fill)" />\
            <text x="\(middle)" y="\(base)" text-anchor="middle" style="fill:\(ink);font-size:10px">\
            \(cell.label)</text></g>
            """
    }

    /// A bar of the colours with the values at its ends and in its middle.
    private func legend(at y: Double) -> [Markup] {
        let steps = 24
        let width = 220.0
        var parts: [Markup] = (0..<steps).map { step in
            let share = (Double(step) + 0.5) / Double(steps)
            let color = scale.color(of: scale.low + share * (scale.high - scale.low))
            let x = Self.left + width * Double(step) / Double(steps)
            let side = width / Double(steps) + 0.5
            return "<rect x=\"\(x)\" y=\"\(y)\" width=\"\(side)\" height=\"9\" fill=\"\(color.fill)\" />"
        }
        for (share, anchor) in [(0.0, "start"), (0.5, "middle"), (1, "end")] {
            let value = scale.low + share * (scale.high - scale.low)
            parts.append(
                """
                <text class="quiet" x="\(Self.left + share * width)" y="\(y + 22)" text-anchor="\(anchor)">\
                \(Quantity.significant(value, 3))</text>
                """)
        }
        parts.append("<text x=\"\(Self.left)\" y=\"\(y + 38)\">\(unit)</text>")
        return parts
    }
}
