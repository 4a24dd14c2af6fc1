import CommandLineKit

/// The heat maps of a compression: errors, ranks and energy by layer and role.
struct LayerMaps {
    private let places: [(layer: Int?, role: String, matrices: [MatrixRecord])]

    init(_ record: CompressionRecord) {
        var places: [(layer: Int?, role: String, matrices: [MatrixRecord])] = []
        var known: [String: Int] = [:]
        for matrix in record.matrices {
            let key = "\(matrix.layer ?? -1) \(matrix.shortRole)"
            if let index = known[key] {
                places[index].matrices.append(matrix)
            } else {
                known[key] = places.count
                places.append((matrix.layer, matrix.shortRole, [matrix]))
            }
        }
        self.places = places
    }

    var maps: [HeatMap] {
        let errors = [
            error("Error of weights", "‖W − W′‖ / ‖W‖, no unit", \.relativeError),
            error("Error of outputs", "‖(W − W′)X‖ / ‖WX‖, no unit", \.activationError),
            error("Error in sequence", "‖WX − W′X̂‖ / ‖WX‖, no unit", \.sequentialError),
        ]
        return errors.compactMap { $0 } + [ranks, energy].compactMap { $0 }
    }

    private func error(_ title: String, _ unit: String, _ figure: (MatrixRecord) -> Double?) -> HeatMap? {
        let cells = places.map { place -> HeatMap.Cell in
            let values = compressed(place.matrices).compactMap(figure)
            let mean = values.isEmpty ? nil : (values.reduce(0) { $0 + $1 * $1 } / Double(values.count)).squareRoot()
            return cell(place, mean, label: mean.map(Self.short) ?? "dense")
        }
        let values = cells.compactMap(\.value)
        guard let largest = values.max() else { return nil }
        return HeatMap(title: title, unit: unit, cells: cells, scale: ColorScale(low: 0, high: largest))
    }

    /// The rank in the cell, the share of the numbers that is kept as its colour.
    private var ranks: HeatMap? {
        let cells = places.map { place -> HeatMap.Cell in
            let chosen = compressed(place.matrices)
            guard !chosen.isEmpty else { return cell(place, nil, label: "dense") }
            let share = chosen.reduce(0) { $0 + $1.keptShare } / Double(chosen.count)
            let ranks = chosen.map { $0.ranks.filter { $0 > 1 }.min() ?? $0.ranks.first ?? 0 }
            let mean = ranks.reduce(0, +) / ranks.count
            return cell(place, share, label: mean > 0 ? String(mean) : Quantity.fixed(share, 2))
        }
        guard cells.contains(where: { $0.value != nil }) else { return nil }
        let unit = "colour: numbers kept / dense numbers; in the cell: rank"
        return HeatMap(title: "Ranks", unit: unit, cells: cells, scale: ColorScale(low: 0, high: 1))
    }

    private var energy: HeatMap? {
        let cells = places.map { place -> HeatMap.Cell in
            let values = compressed(place.matrices).compactMap(\.energyKept)
            let mean = values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
            return cell(place, mean, label: mean.map { Quantity.fixed($0 * 100, $0 < 0.9995 ? 1 : 0) } ?? "–")
        }
        guard let smallest = cells.compactMap(\.value).min() else { return nil }
        let low = (smallest * 10).rounded(.down) / 10
        return HeatMap(
            title: "Energy kept", unit: "colour: share of Σσ² in the objective; in the cell: %", cells: cells,
            scale: ColorScale(low: min(low, 0.9), high: 1))
    }

    private func compressed(_ matrices: [MatrixRecord]) -> [MatrixRecord] {
        matrices.filter { $0.keptDenseReason == nil }
    }

    private func cell(
        _ place: (layer: Int?, role: String, matrices: [MatrixRecord]), _ value: Double?, label: String
    ) -> HeatMap.Cell {
        HeatMap.Cell(
            layer: place.layer, role: place.role, value: value, label: label, detail: Self.detail(of: place.matrices))
    }

    /// What is shown when a cell is pointed at: the matrix, or what several come to.
    private static func detail(of matrices: [MatrixRecord]) -> String {
        let worst = matrices.max { ($0.relativeError ?? 0) < ($1.relativeError ?? 0) }
        guard let matrix = worst else { return "" }
        let prefix = matrices.count > 1 ? "\(matrices.count) matrices, the one of largest error:\n" : ""
        if let reason = matrix.keptDenseReason { return "\(prefix)\(matrix.name)\nkept dense: \(reason)" }
        let energy = matrix.energyKept.map { "\nenergy kept \(Quantity.percent($0, digits: 2))" } ?? ""
        let outputs = matrix.activationError.map { "\nerror of outputs \(Quantity.significant($0, 4))" } ?? ""
        return "\(prefix)\(matrix.name)\n\(matrix.schema), rank \(matrix.ranksText), "
            + "\(Quantity.percent(matrix.keptShare)) kept\n"
            + "error of weights \(CompressionPage.figure(matrix.relativeError, 4))"
            + outputs + energy
    }

    /// Three characters where that is possible: `.43`, `1.2`, `.004`.
    private static func short(_ value: Double) -> String {
        let text = Quantity.fixed(value, value < 0.0995 ? 3 : value < 0.995 ? 2 : 1)
        return text.hasPrefix("0.") ? String(text.dropFirst()) : text
    }
}
