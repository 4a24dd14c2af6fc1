import CommandLineKit

/// The results of a sweep: size across, quality up, a sign and a colour for each method, a line along the front.
struct ParetoPlot {
    let record: SweepRecord
    let quality: SweepRecord.Quality
    let front: [Int]
    let recommended: Int?

    /// As wide as a page, and as a telephone; the style shows the one that fits.
    var pictures: Markup {
        picture(width: 1080, height: 460, style: "wide") + picture(width: 366, height: 380, style: "narrow")
    }

    private var methods: [String] {
        record.points.reduce(into: []) { if !$0.contains($1.method) { $0.append($1.method) } }
    }

    /// The methods with their signs.
    var legend: Markup {
        let parts = methods.enumerated().map { index, method -> Markup in
            """
            <span style="white-space:nowrap"><svg xmlns="http://www.w3.org/2000/svg" width="16" height="14" \
            viewBox="-8 -7 16 14" style="display:inline-block" aria-hidden="true">\(sign(index))</svg> \(method)</span>
            """
        }
        return
            """
            <p>\(Markup(parts, separator: " &#160; ")) &#160; \
            <span class="quiet">line: nothing is both smaller and better</span></p>
            """
    }

    private func picture(width: Double, height: Double, style: String) -> Markup {
        let values = record.points.compactMap { quality.value($0) }
        let source = quality == .perplexity ? record.sourcePerplexity : nil
        let shown = values + [source].compactMap { $0 }
        let isWide = (shown.max() ?? 1) > 8 * (shown.min() ?? 1) && (shown.min() ?? 0) > 0
        // A logarithmic axis ends at its values; signs on its end would be cut.
        let room = isWide ? [(shown.min() ?? 1) / 1.1, (shown.max() ?? 1) * 1.2] : []
        let sizes = record.points.map { Double($0.bytes) } + [record.sourceBytes.map(Double.init)].compactMap { $0 }
        let unit = Self.unit(for: sizes.max() ?? 1)
        let frame = PlotFrame(
            width: width, height: height,
            x: PlotFrame.Scale(
                values: sizes.map { $0 / unit.bytes }, isLogarithmic: false,
                title: "size of the tensors, \(unit.name)"),
            y: PlotFrame.Scale(
                values: shown + room, isLogarithmic: isWide,
                title: quality.title + (quality == .perplexity ? ", per token" : ", no unit")))
        let place = { (point: SweepRecord.Point) in
            (
                x: frame.x.position(of: Double(point.bytes) / unit.bytes),
                y: frame.y.position(of: quality.value(point) ?? 0)
            )
        }
        var parts: [Markup] = []
        if let source {
            let y = frame.y.position(of: source)
            parts.append(
                """
                <path d="M\(frame.x.start) \(y)H\(frame.x.end)" stroke="var(--front)" stroke-dasharray="2 4" />\
                <text class="quiet" x="\(frame.x.start + 6)" y="\(y - 5)">\
                dense \(Quantity.significant(source, 4))</text>
                """)
        }
        let path = front.enumerated().map { index, point -> Markup in
            let place = place(record.points[point])
            return "\(index == 0 ? "M" : "L")\(place.x) \(place.y)"
        }
        parts.append(
            "<path d=\"\(Markup(path, separator: ""))\" fill=\"none\" stroke=\"var(--front)\" stroke-width=\"1.5\" />")
        parts += record.points.indices.compactMap { index in
            guard quality.value(record.points[index]) != nil else { return nil }
            let place = place(record.points[index])
            return point(index, x: place.x, y: place.y)
        }
        return frame.picture(parts, description: "\(quality.title) against size", style: style)
    }

    private func point(_ index: Int, x: Double, y: Double) -> Markup {
        let point = record.points[index]
        let method = methods.firstIndex(of: point.method) ?? 0
        let chosen = index == recommended ? " chosen" : ""
        return """
            <g class="point\(chosen)" tabindex="0" transform="translate(\(x) \(y))" data-point="\(index)">\
            <title>\(Self.detail(of: point))</title><circle r="11" fill="transparent" stroke="none" />\
            \(sign(method))</g>
            """
    }

    /// All that is known of a point, in one line.
    static func detail(of point: SweepRecord.Point) -> String {
        let parts = [
            "\(point.method) \(point.description)", ByteCount.human(point.bytes),
            point.keepModel.map { "\(Quantity.percent($0)) of the parameters" },
            point.perplexity.map { "perplexity \(Quantity.significant($0, 5))" },
            point.relativeError.map { "error of weights \(Quantity.significant($0, 4))" },
            point.activationError.map { "error of outputs \(Quantity.significant($0, 4))" },
        ]
        return parts.compactMap { $0 }.joined(separator: "; ")
    }

    /// A sign for a method: shapes differ as well as colours.
    private func sign(_ number: Int) -> Markup {
        let color: Markup = "var(--s\(number % 7))"
        switch number % 5 {
        case 0: return "<circle r=\"5\" fill=\"\(color)\" />"
        case 1: return "<rect x=\"-4.6\" y=\"-4.6\" width=\"9.2\" height=\"9.2\" fill=\"\(color)\" />"
        case 2: return "<path d=\"M0 -6L5.6 4.4H-5.6Z\" fill=\"\(color)\" />"
        case 3: return "<path d=\"M0 -6.4L6.4 0L0 6.4L-6.4 0Z\" fill=\"\(color)\" />"
        default: return "<path d=\"M-5.6 -4.4H5.6L0 6Z\" fill=\"\(color)\" />"
        }
    }

    private static func unit(for bytes: Double) -> (name: String, bytes: Double) {
        for unit in [("GB", 1e9), ("MB", 1e6), ("KB", 1e3)] where bytes >= unit.1 { return (unit.0, unit.1) }
        return ("bytes", 1)
    }
}
