import Checkpoints
import CommandLineKit
import Safetensors

/// What an adapter holds.
public struct AdapterResult: Sendable {
    struct Line: Sendable {
        let module: String
        let rank: Int
        let parameters: Int
        /// ‖D − BA‖ / ‖D‖.
        let error: Double
    }

    private(set) var lines: [Line] = []
    /// Layers whose weights are the same in both checkpoints.
    var unchanged = 0
    /// Numbers in the file; those of experts include the zeros of their stacks.
    var parameters = 0

    mutating func add(_ module: LinearModule, _ difference: LowRankDifference) {
        lines.append(
            Line(
                module: module.name, rank: difference.rank,
                parameters: difference.rank * (module.outFeatures + module.inFeatures), error: difference.error))
    }

    public func text(output: String) -> String {
        var table = TextTable([.left("matrix", shrinks: true), .right("rank"), .right("numbers"), .right("error left")])
        for line in lines {
            table.add([
                line.module, "\(line.rank)", Quantity.grouped(line.parameters), Quantity.significant(line.error, 4),
            ])
        }
        let same = unchanged > 0 ? "\(unchanged) matrices are the same in both\n" : ""
        return table.text()
            + "\n\(same)\(lines.count) matrices, \(Quantity.grouped(parameters)) numbers\nwrote \(output)\n"
    }

    public func json(output: String) -> JSON {
        [
            "output": JSON(output), "parameters": JSON(parameters), "unchanged": JSON(unchanged),
            "modules": .array(
                lines.map {
                    [
                        "name": JSON($0.module), "rank": JSON($0.rank), "parameters": JSON($0.parameters),
                        "relative_error": JSON($0.error),
                    ]
                }),
        ]
    }
}
