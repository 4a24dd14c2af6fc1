/// Singular values of some matrices of one role, each divided by its first, with the rank where it was cut.
struct SpectrumChart {
    struct Curve {
        let name: String
        /// Indices, from one, and values of the sample, descending.
        let points: [(index: Int, value: Double)]
        let rank: Int?
    }

    let title: String
    let curves: [Curve]

    private static let width = 340.0, height = 230.0
    /// Below this share of the first value a spectrum is noise for a picture.
    private static let floor = 1e-4
    private static let dashes = ["none", "6 3", "2 3"]

    var figure: Markup? {
        let relative = curves.compactMap { curve -> (Curve, [(index: Double, value: Double)])? in
            guard let first = curve.points.first?.value, first > 0 else { return nil }
            return (curve, curve.points.map { (Double($0.index), max($0.value / first, Self.floor)) })
        }
        guard !relative.isEmpty else { return nil }
        let points = relative.flatMap(\.1)
        let frame = PlotFrame(
            width: Self.width, height: Self.height,
            x: PlotFrame.Scale(
                values: points.map(\.index), isLogarithmic: true, title: "index i of the singular value"),
            y: PlotFrame.Scale(values: points.map(\.value) + [1], isLogarithmic: true, title: "σ_i / σ_1"))
        let lines = relative.enumerated().flatMap { index, item in
            line(item.0, item.1, number: index % Self.dashes.count, in: frame)
        }
        let legend = relative.enumerated().map { index, item -> Markup in
            let cut = item.0.rank.map { ", cut at \($0)" } ?? ""
            return
                """
                <span style="white-space:nowrap"><span style="color:var(--s\(index % Self.dashes.count))">\
                \(Self.mark(index))</span> \(item.0.name)\(cut)</span>
                """
        }
        return """
            <figure>
            <h3>\(title)</h3>
            \(frame.picture(lines, description: "singular values, \(title)"))
            <figcaption>\(Markup(legend, separator: " &#160; "))</figcaption>
            </figure>
            """
    }

    private func line(
        _ curve: Curve, _ points: [(index: Double, value: Double)], number: Int, in frame: PlotFrame
    ) -> [Markup] {
        let path = points.enumerated().map { place, point -> Markup in
            "\(place == 0 ? "M" : "L")\(frame.x.position(of: point.index)) \(frame.y.position(of: point.value))"
        }
        var parts: [Markup] = [
            """
            <path d="\(Markup(path, separator: ""))" fill="none" stroke="var(--s\(number))" stroke-width="1.8" \
            stroke-dasharray="\(Self.dashes[number])"><title>\(curve.name)</title></path>
            """
        ]
        guard let rank = curve.rank, let last = points.last, Double(rank) <= last.index else { return parts }
        let nearest = points.min { abs($0.index - Double(rank)) < abs($1.index - Double(rank)) } ?? last
        let x = frame.x.position(of: Double(rank))
        let y = frame.y.position(of: nearest.value)
        parts.append(
            """
            <g><title>\(curve.name): cut at \(rank)</title><path d="M\(x) \(frame.y.start)V\(y)" \
            stroke="var(--s\(number))" stroke-dasharray="1 2" /><circle cx="\(x)" cy="\(y)" r="4" \
            fill="var(--s\(number))" /></g>
            """)
        return parts
    }

    private static func mark(_ index: Int) -> String { ["━━", "╍╍", "┅┅"][index % dashes.count] }
}
