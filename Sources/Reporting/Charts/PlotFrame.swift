/// The box of a plot with its two axes: grid, ticks and titles with units.
struct PlotFrame {
    let width: Double
    let height: Double
    let x: Axis
    let y: Axis
    let xTitle: String
    let yTitle: String
    /// Texts of the ticks.
    let xLabel: (Double) -> String
    let yLabel: (Double) -> String

    /// Room around the plot for ticks and titles.
    struct Margins {
        var left = 52.0, right = 14.0, top = 10.0, bottom = 42.0
    }

    /// The values that a plot must show, and how an axis is labelled.
    struct Scale {
        let values: [Double]
        let isLogarithmic: Bool
        let title: String
        var label: (Double) -> String = Axis.label
    }

    init(width: Double, height: Double, x: Scale, y: Scale) {
        let margins = Margins()
        self.width = width
        self.height = height
        self.x = Axis(x.values, isLogarithmic: x.isLogarithmic, from: margins.left, to: width - margins.right)
        self.y = Axis(y.values, isLogarithmic: y.isLogarithmic, from: height - margins.bottom, to: margins.top)
        (xTitle, yTitle) = (x.title, y.title)
        (xLabel, yLabel) = (x.label, y.label)
    }

    /// The picture with what lies in the plot.
    /// - Parameter description: what the plot shows, for those who cannot see it.
    func picture(_ content: [Markup], description: String, style: String = "") -> Markup {
        """
        <svg xmlns="http://www.w3.org/2000/svg" class="\(style)" width="\(width)" height="\(height)" \
        viewBox="0 0 \(width) \(height)" role="img" aria-label="\(description)">
        \(axes)
        \(content)
        </svg>
        """
    }

    private var axes: [Markup] {
        var parts: [Markup] = []
        for value in x.ticks(atMost: max(3, Int((x.end - x.start) / 62))) {
            let place = x.position(of: value)
            parts.append("<path class=\"grid\" d=\"M\(place) \(y.start)V\(y.end)\" />")
            parts.append(
                """
                <text class="quiet" x="\(place)" y="\(y.start + 15)" text-anchor="middle">\(xLabel(value))</text>
                """
            )
        }
        for value in y.ticks(atMost: max(3, Int((y.start - y.end) / 32))) {
            let place = y.position(of: value)
            parts.append("<path class=\"grid\" d=\"M\(x.start) \(place)H\(x.end)\" />")
            parts.append(
                """
                <text class="quiet" x="\(x.start - 6)" y="\(place + 4)" text-anchor="end">\(yLabel(value))</text>
                """
            )
        }
        let middle = (y.start + y.end) / 2
        parts.append("<path class=\"axis\" d=\"M\(x.start) \(y.end)V\(y.start)H\(x.end)\" />")
        parts.append("<text x=\"\((x.start + x.end) / 2)\" y=\"\(height - 8)\" text-anchor=\"middle\">\(xTitle)</text>")
        parts.append(
            "<text transform=\"rotate(-90)\" x=\"\(-middle)\" y=\"11\" text-anchor=\"middle\">\(yTitle)</text>")
        return parts
    }
}
