import CommandLineKit
import LinearAlgebra
import Safetensors
import Statistics

/// What a statistics file holds, line by line.
public struct StatisticsTable: Sendable {
    /// Up to this size the eigenvalues take no time worth asking about.
    public static let largestQuickSize = 1024

    /// One input, or the gradients towards the outputs of one layer.
    public struct Line: Sendable {
        public let input: LayerInput
        public let tokens: Int
        /// Mean |x| over tokens and features.
        public let meanAbsolute: Double
        /// √ of the mean square.
        public let rootMeanSquare: Double
        /// Largest eigenvalue over smallest; nil where it was not asked for, infinite where the moment is singular in
        /// Double.
        public let condition: Double?
    }

    public let path: String
    public let header: StatisticsHeader
    public let bytes: Int
    public let lines: [Line]

    public var json: JSON {
        func list(_ sums: [LayerInput]) -> JSON {
            let wanted = Set(sums)
            return .array(lines.filter { wanted.contains($0.input) }.map(Self.json))
        }
        return [
            "file": JSON(path), "bytes": JSON(bytes), "precision": JSON(header.precision.rawValue),
            "model_fingerprint": JSON(header.modelFingerprint),
            "model_type": header.modelType.map { JSON($0) } ?? .null, "runs": .array(header.runs.map(\.json)),
            "inputs": list(header.inputs), "gradients": list(header.gradients),
        ]
    }

    private static func json(_ line: Line) -> JSON {
        [
            "input": JSON(line.input.name), "modules": JSON(line.input.modules),
            "features": JSON(line.input.features), "tokens": JSON(line.tokens),
            "mean_absolute": JSON(line.meanAbsolute), "root_mean_square": JSON(line.rootMeanSquare),
            "condition": line.condition.flatMap { $0.isFinite ? JSON($0) : nil } ?? .null,
            "singular": line.condition.map { JSON($0.isInfinite) } ?? .null,
        ]
    }

    public var text: String {
        var table = TextTable([
            .left("input or gradient", shrinks: true), .right("read by"), .right("size"), .right("tokens"),
            .right("mean |x|"), .right("condition"),
        ])
        for line in lines {
            table.add([
                line.input.name, "\(line.input.modules.count)", "\(line.input.features)",
                Quantity.grouped(line.tokens), Quantity.significant(line.meanAbsolute, 3), Self.text(line.condition),
            ])
        }
        return table.text() + "\n" + runsText
    }

    private static func text(_ condition: Double?) -> String {
        guard let condition else { return "" }
        return condition.isInfinite ? "singular" : Quantity.significant(condition, 2)
    }

    /// The texts that went in, and the file.
    public var runsText: String {
        let runs = header.runs.map { run in
            "\(Quantity.grouped(run.tokens)) tokens in \(Quantity.grouped(run.windows)) "
                + (run.documents.map { "documents between \"\($0)\"" } ?? "windows")
                + " of up to \(run.context), BOS \(run.bos), hash \(run.tokenSHA256.prefix(16))…"
        }
        let gradients = header.gradients.isEmpty ? "" : "and gradients of \(header.gradients.count) layers, "
        let file = "\(path): \(header.inputs.count) inputs, \(gradients)\(header.precision.rawValue) moments, "
            + "\(ByteCount.human(bytes)), model \(header.modelType ?? "unknown") \(header.modelFingerprint.prefix(16))…"
        return (runs + [file]).joined(separator: "\n")
    }
}

/// Reads a statistics file for people.
public struct StatisticsTableJob: Sendable {
    public var path: String
    /// Also of inputs of more than `StatisticsTable.largestQuickSize` features.
    public var estimatesEveryCondition: Bool

    public init(path: String, estimatesEveryCondition: Bool = false) {
        self.path = path
        self.estimatesEveryCondition = estimatesEveryCondition
    }

    public func run(
        progress: any ProgressReporter = SilentProgress(), interruption: Interruption = .never
    ) throws -> StatisticsTable {
        let statistics = try ActivationStatistics(path: path)
        let inputs = statistics.header.sums
        progress.begin(ProgressStage("read", total: inputs.count, unit: .items("inputs")))
        defer { progress.end() }
        var lines: [StatisticsTable.Line] = []
        for input in inputs {
            try interruption.check()
            lines.append(try line(of: input, statistics))
            progress.advance(by: 1, input.name)
        }
        return StatisticsTable(path: path, header: statistics.header, bytes: statistics.byteCount, lines: lines)
    }

    private func line(of input: LayerInput, _ statistics: ActivationStatistics) throws -> StatisticsTable.Line {
        let sums = try statistics.moments(of: input)
        let count = Double(max(sums.tokens, 1) * max(input.features, 1))
        let moment = sums.moment
        let trace = (0..<input.features).reduce(0) { $0 + moment[$1, $1] }
        var condition: Double?
        if estimatesEveryCondition || input.features <= StatisticsTable.largestQuickSize {
            condition = Self.condition(try SymmetricEigen().decompose(moment, vectors: 0).values)
        }
        return StatisticsTable.Line(
            input: input, tokens: sums.tokens, meanAbsolute: sums.absoluteSums.reduce(0, +) / count,
            rootMeanSquare: (trace / count).squareRoot(), condition: condition)
    }

    /// - Parameter values: eigenvalues, descending; those below the rounding of the largest count as zero.
    private static func condition(_ values: [Double]) -> Double {
        guard let largest = values.first, let smallest = values.last, largest > 0 else { return .infinity }
        let noise = Tolerance.rounding(.float64, size: values.count, norm: largest, factor: 1)
        return smallest > noise ? largest / smallest : .infinity
    }
}
