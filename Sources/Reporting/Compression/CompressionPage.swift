import CommandLineKit
import Safetensors

/// report.html: what a compression did, in one page that needs nothing else.
public enum CompressionPage {
    /// - Parameter report: report.json, version 1.
    public static func html(from report: JSON) throws(ReportingError) -> String {
        let record = try CompressionRecord(report)
        let body: Markup = """
            <header>
            <h1>\(record.source): \(record.method), \(record.target)</h1>
            <p class="quiet">\(record.compressed.count) of \(record.matrices.count) selected matrices compressed to \
            \(Quantity.percent(record.totals.keepCompressed)) of their parameters; the whole model keeps \
            \(Quantity.percent(record.totals.keepModel)).</p>
            </header>
            \(cards(record))
            \(Page.section("Layer by layer", heatMaps(record)))
            \(Page.section("Spectra", spectra(record)))
            \(Page.section("Kept dense", keptDense(record)))
            \(Page.section("Time", times(record)))
            \(Page.section("All matrices", matrixTable(record)))
            \(Page.section("Run it again", command(record)))
            """
        return Page(title: "\(record.source): \(record.method), \(record.target)", body: body).text
    }

    // MARK: Totals

    private static func cards(_ record: CompressionRecord) -> Markup {
        let totals = record.totals
        var cards = [
            card("size of the tensors", totals.bytes, human: ByteCount.human, exact: ByteCount.exact),
            card("parameters", totals.parameters, human: HumanCount.human, exact: HumanCount.exact),
            card("multiply-adds per token", totals.macs, human: HumanCount.human, exact: HumanCount.exact),
        ]
        if let error = record.rootMeanSquare(\.relativeError) {
            let worst = record.worst.map { "largest \(figure($0.relativeError)) in \($0.name)" } ?? ""
            cards.append(card("relative error of weights, root mean square", figure(error), note: worst))
        }
        if let error = record.rootMeanSquare(\.activationError) {
            cards.append(
                card("relative error of outputs, root mean square", figure(error), note: "on the calibrated inputs"))
        }
        for figure in record.evaluation?.figures ?? [] {
            let before = figure.before.map { $0 + " → " } ?? ""
            cards.append(card(figure.name, before + figure.after, note: figure.note))
        }
        let memory = totals.peakBytes.map { "peak memory " + ByteCount.human($0) } ?? ""
        cards.append(card("time", Quantity.duration(totals.seconds), note: memory))
        return "<section><div class=\"cards\">\n\(cards)\n</div></section>"
    }

    private static func card(
        _ name: String, _ pair: (before: Int, after: Int), human: (Int) -> String, exact: (Int) -> String
    ) -> Markup {
        let share = pair.before > 0 ? Quantity.percent(Double(pair.after) / Double(pair.before)) : "–"
        return card(
            name, "\(human(pair.before)) → \(human(pair.after))",
            note: "\(share) kept; \(exact(pair.before)) → \(exact(pair.after))")
    }

    private static func card(_ name: String, _ value: String, note: String) -> Markup {
        """
        <div class="card"><div class="name">\(name)</div><div class="value">\(value)</div>\
        <div class="note">\(note)</div></div>
        """
    }

    static func figure(_ value: Double?, _ digits: Int = 3) -> String {
        value.map { Quantity.significant($0, digits) } ?? "–"
    }

    // MARK: Charts

    private static func heatMaps(_ record: CompressionRecord) -> Markup? {
        guard !record.matrices.isEmpty else { return nil }
        let maps = LayerMaps(record).maps
        return """
            <p class="quiet">Cells of several matrices, such as the experts of a layer, show their mean (errors: root \
            mean square). An empty cell was kept dense. Point at a cell for its figures.</p>
            <div class="charts">
            \(maps.map(\.figure))
            </div>
            """
    }

    /// For each role, and each bond or mode of its matrices, the first, a middle and the last that have a spectrum.
    private static func spectra(_ record: CompressionRecord) -> Markup? {
        var places: [(title: String, curves: [SpectrumChart.Curve])] = []
        for matrix in record.compressed {
            for spectrum in matrix.spectra {
                let title = [matrix.shortRole, spectrum.name].compactMap { $0 }.joined(separator: ", ")
                let curve = SpectrumChart.Curve(
                    name: matrix.layer.map { "layer \($0)" } ?? matrix.name, points: spectrum.points,
                    rank: spectrum.rank)
                if let place = places.firstIndex(where: { $0.title == title }) {
                    places[place].curves.append(curve)
                } else {
                    places.append((title, [curve]))
                }
            }
        }
        guard !places.isEmpty else { return nil }
        let charts = places.compactMap { place -> Markup? in
            let chosen = Set([0, place.curves.count / 2, place.curves.count - 1]).sorted().map { place.curves[$0] }
            return SpectrumChart(title: place.title, curves: chosen).figure
        }
        return """
            <p class="quiet">Singular values in the metric of the objective, divided by the largest, in the first, a \
            middle and the last layer; of tensor trains at every bond, of stacks along every mode. What is right of \
            the dot was cut off; values below 10⁻⁴ are drawn there.</p>
            <div class="mini">
            \(charts)
            </div>
            """
    }

    private static func times(_ record: CompressionRecord) -> Markup {
        func bars(_ parts: [(name: String, seconds: Double)]) -> [BarChart.Bar] {
            parts.map { BarChart.Bar(name: $0.name, value: $0.seconds, text: Quantity.duration($0.seconds)) }
        }
        var roles: [(name: String, seconds: Double)] = []
        for matrix in record.matrices {
            if let index = roles.firstIndex(where: { $0.name == matrix.shortRole }) {
                roles[index].seconds += matrix.seconds
            } else {
                roles.append((matrix.shortRole, matrix.seconds))
            }
        }
        var charts: [Markup] = []
        if !record.stages.isEmpty { charts.append(BarChart(title: "By stage", bars: bars(record.stages)).figure) }
        if !roles.isEmpty { charts.append(BarChart(title: "Compression by role", bars: bars(roles)).figure) }
        return "<div class=\"charts\">\n\(charts)\n</div>"
    }

    // MARK: Tables

    private static func keptDense(_ record: CompressionRecord) -> Markup? {
        let dense = record.matrices.filter { $0.keptDenseReason != nil }
        guard !dense.isEmpty else { return nil }
        let reasons = Dictionary(grouping: dense) { $0.keptDenseReason ?? "" }.sorted { $0.key < $1.key }
        let parts = reasons.map { reason, matrices -> Markup in
            let names = matrices.map { matrix -> Markup in "<li>\(matrix.name)</li>" }
            let title = "\(matrices.count) \(matrices.count == 1 ? "matrix" : "matrices"): \(reason)"
            return Page.details(title, "<ul>\n\(Array(names.prefix(Self.mostNames)))\n</ul>")
        }
        return Markup(parts)
    }

    private static let mostNames = 500

    private static func matrixTable(_ record: CompressionRecord) -> Markup? {
        guard !record.matrices.isEmpty else { return nil }
        let shown =
            record.matrices.count <= mostRows
            ? record.matrices
            : Array(record.matrices.sorted { ($0.relativeError ?? 0) > ($1.relativeError ?? 0) }.prefix(mostRows))
        let rows = shown.map { matrix -> [Markup] in
            let texts = [
                matrix.name, matrix.shape.map(String.init).joined(separator: " × "), matrix.schema, matrix.ranksText,
                Quantity.grouped(matrix.parameters), Quantity.percent(matrix.keptShare),
                figure(matrix.relativeError, 4),
                figure(matrix.activationError, 4), matrix.energyKept.map { Quantity.percent($0, digits: 2) } ?? "–",
                matrix.solver ?? "–", Quantity.duration(matrix.seconds),
            ]
            return texts.map { text -> Markup in "\(text)" }
        }
        let table = Page.table(
            [
                .text("matrix"), .number("shape"), .text("stored as"), .number("rank"), .number("numbers"),
                .number("kept"), .number("error of weights"), .number("error of outputs"), .number("energy kept"),
                .text("solver"), .number("time"),
            ], rows)
        let title =
            shown.count == record.matrices.count
            ? "\(shown.count) matrices" : "the \(shown.count) matrices of largest error of \(record.matrices.count)"
        return Page.details(title, table)
    }

    /// More rows would make a page of many experts heavy; report.json has them all.
    private static let mostRows = 1500

    private static func command(_ record: CompressionRecord) -> Markup {
        let options = record.options.map { option -> [Markup] in ["\(option.name)", "\(option.value)"] }
        let machine = [
            record.program, record.instructionSet.map { "instruction set \($0)" },
            record.threads.map { "\($0) threads" }, record.architecture.map { "architecture \($0)" },
        ]
        return """
            <pre><code>\(ShellWords.text(record.command))</code></pre>
            <p class="quiet">\(machine.compactMap { $0 }.joined(separator: ", "))</p>
            \(Page.details("All options", Page.table([.text("option"), .text("value")], options)))
            """
    }
}
