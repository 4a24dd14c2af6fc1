/// Horizontal bars with their names before them and their values behind them.
struct BarChart {
    struct Bar {
        let name: String
        let value: Double
        let text: String
    }

    let title: String
    let bars: [Bar]

    private static let width = 340.0, line = 24.0, names = 118.0, values = 74.0

    var figure: Markup {
        let height = Double(bars.count) * Self.line + 4
        let largest = bars.map(\.value).max() ?? 0
        let parts = bars.enumerated().map { index, bar -> Markup in
            let y = Double(index) * Self.line
            let length = largest > 0 ? max(1, (Self.width - Self.names - Self.values) * bar.value / largest) : 1
            return """
                <text x="\(Self.names - 8)" y="\(y + 16)" text-anchor="end">\(bar.name)</text>\
                <rect x="\(Self.names)" y="\(y + 4)" width="\(length)" height="16" fill="var(--s0)" />\
                <text class="quiet" x="\(Self.names + length + 6)" y="\(y + 16)">\(bar.text)</text>
                """
        }
        return """
            <figure>
            <h3>\(title)</h3>
            <svg xmlns="http://www.w3.org/2000/svg" width="\(Self.width)" height="\(height)" \
            viewBox="0 0 \(Self.width) \(height)" role="img" aria-label="\(title)">
            \(parts)
            </svg>
            </figure>
            """
    }
}
