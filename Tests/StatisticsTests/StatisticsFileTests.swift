import CompressionCore
import Foundation
import MatrixCore
import Safetensors
import TestSupport
import Testing

@testable import Statistics

struct StatisticsFileTests {
    private let folder: TemporaryFolder
    private static let attention = LayerInput(modules: ["layers.0.q", "layers.0.k", "layers.0.v"], features: 9)
    private static let output = LayerInput(modules: ["layers.0.o"], features: 5)

    init() throws { folder = try TemporaryFolder() }

    private static func header(
        _ precision: StatisticsHeader.Precision = .f64, model: String = "abc", text: String = "0f"
    ) -> StatisticsHeader {
        let run = CalibrationRun(
            tokenSHA256: text, tokens: 40, windows: 2, context: 20, bos: "auto", documents: "***", program: "lowrank 0")
        return StatisticsHeader(
            modelFingerprint: model, modelType: "llama", precision: precision, inputs: [attention, output], runs: [run])
    }

    private static func moments(_ input: LayerInput, seed: UInt64) -> InputMoments {
        let moments = InputMoments(features: input.features)
        moments.add(tokens(40, features: input.features, seed: seed).view)
        return moments
    }

    @discardableResult
    private func write(_ name: String, _ header: StatisticsHeader, seed: UInt64 = 1) throws -> ActivationStatistics {
        let writer = try StatisticsWriter(path: folder.at(name), header: header)
        for input in header.inputs { try writer.append(Self.moments(input, seed: seed), of: input) }
        try writer.finish()
        return try ActivationStatistics(path: folder.at(name))
    }

    @Test(arguments: StatisticsHeader.Precision.allCases)
    func whatIsWrittenIsReadBack(precision: StatisticsHeader.Precision) throws {
        let statistics = try write("a", Self.header(precision))
        #expect(statistics.header == Self.header(precision))
        for input in statistics.header.inputs {
            let expected = Self.moments(input, seed: 1), found = try statistics.moments(of: input)
            let exact = expected.moment
            let wanted =
                precision == .f64
                ? exact : Matrix64(rows: exact.rows, columns: exact.columns) { Double(Float(exact[$0, $1])) }
            #expect(found.moment == wanted)
            #expect(found.absoluteSums == expected.absoluteSums)
            #expect(found.fourthPowerSum == expected.fourthPowerSum)
            #expect(found.tokens == 40)
        }
    }

    @Test func packedMomentsAreTheLowerTriangleRowByRow() throws {
        try write("a", Self.header())
        let file = try SafetensorsFile(path: folder.at("a"))
        let packed = try file.bytes(of: "layers.0.o.moment").array(of: Double.self)
        let full = Self.moments(Self.output, seed: 1).moment
        #expect(packed == (0..<5).flatMap { i in (0...i).map { full[i, $0] } })
    }

    @Test func modulesThatShareAnInputShareItsMetric() throws {
        let statistics = try write("a", Self.header())
        let query = try #require(try statistics.gram(for: "layers.0.q"))
        #expect(try statistics.gram(for: "layers.0.v") === query)
        let output = try #require(try statistics.gram(for: "layers.0.o"))
        #expect(output.size == 5)
        // Still the same, although another was asked for in between: it is held here.
        #expect(try statistics.gram(for: "layers.0.k") === query)
        #expect(try statistics.gram(for: "layers.1.q") == nil)
        #expect(try statistics.tokens(for: "layers.0.k") == 40)
        let mean = try #require(try statistics.meanAbsolute(for: "layers.0.o"))
        let expected = Self.moments(Self.output, seed: 1).absoluteSums.map { $0 / 40 }
        #expect(mean == expected)
    }

    // MARK: Sums

    @Test func aSumIsTheSumsOfBothTexts() throws {
        let a = try write("a", Self.header(text: "01")), b = try write("b", Self.header(.f32, text: "02"), seed: 2)
        let sum = try StatisticsSum(of: [a, b])
        #expect(sum.repeatedTexts.isEmpty)
        #expect(sum.header.precision == .f64)
        try sum.write(to: folder.at("c")) { _ in }
        let c = try ActivationStatistics(path: folder.at("c"))
        #expect(c.header.runs.map(\.tokenSHA256) == ["01", "02"])
        for input in c.header.inputs {
            let (left, right) = (try a.moments(of: input), try b.moments(of: input)), both = try c.moments(of: input)
            #expect(both.tokens == 80)
            #expect(both.moment == Matrix64(rows: input.features, columns: input.features) {
                left.moment[$0, $1] + right.moment[$0, $1]
            })
            #expect(both.absoluteSums == zip(left.absoluteSums, right.absoluteSums).map { $0 + $1 })
        }
    }

    @Test func theSameTextTwiceIsNoticed() throws {
        let a = try write("a", Self.header()), b = try write("b", Self.header())
        #expect(try StatisticsSum(of: [a, b]).repeatedTexts == ["0f"])
    }

    @Test func otherModelsAreNotAdded() throws {
        let a = try write("a", Self.header()), b = try write("b", Self.header(model: "xyz"))
        #expect(throws: StatisticsError.self) { try StatisticsSum(of: [a, b]) }
        #expect(throws: StatisticsError.otherModel(file: folder.at("b"), expected: "abc", found: "xyz")) {
            try b.require(model: "abc")
        }
        var other = Self.header()
        other.inputs = [Self.attention]
        let c = try write("c", other)
        #expect(throws: StatisticsError.self) { try StatisticsSum(of: [a, c]) }
    }

    // MARK: Bad files

    /// A file as it would be, with some tensors and metadata replaced.
    private func forge(
        tensors: [String: (TensorDType, [Double])] = [:], without: Set<String> = [], metadata: [String: String] = [:]
    ) throws -> String {
        let header = Self.header()
        var numbers: [String: (dtype: TensorDType, values: [Double])] = [:]
        for declaration in header.declarations {
            numbers[declaration.name] = (declaration.dtype, [Double](repeating: 1, count: declaration.shape[0]))
        }
        for (name, tensor) in tensors { numbers[name] = tensor }
        for name in without { numbers[name] = nil }
        let path = folder.at("forged")
        let writer = try SafetensorsWriter(
            path: path,
            tensors: numbers.map {
                TensorDeclaration(name: $0.key, dtype: $0.value.dtype, shape: [$0.value.values.count])
            },
            metadata: header.metadata.merging(metadata) { $1 })
        for (name, tensor) in numbers {
            let integers = tensor.values.map { Int64($0.isFinite ? $0 : 0) }
            if tensor.dtype == .i64 {
                try integers.withUnsafeBytes { try writer.append($0, to: name) }
            } else {
                try tensor.values.withUnsafeBytes { try writer.append($0, to: name) }
            }
        }
        try writer.finish()
        return path
    }

    @Test func badMetadataIsRefused() throws {
        for metadata in [
            ["lowrank_statistics": "2"], ["precision": "f16"], ["inputs": "[]"], ["inputs": "nonsense"],
            ["inputs": #"{"layers.0.q": []}"#], ["inputs": #"{"layers.0.q": ["layers.0.k"]}"#], ["runs": "[{}]"],
            ["inputs": #"{"layers.0.q": ["layers.0.q", "layers.0.o"], "layers.0.o": ["layers.0.o"]}"#],
        ] {
            let path = try forge(metadata: metadata)
            let error = #expect(throws: StatisticsError.self) { try ActivationStatistics(path: path) }
            #expect("\(error.map { "\($0)" } ?? "")".contains("forged"), "\(metadata)")
        }
        #expect(throws: Never.self) { try ActivationStatistics(path: forge()) }
    }

    @Test func tensorsOfAnotherFormAreRefused() throws {
        let cases: [(tensors: [String: (TensorDType, [Double])], without: Set<String>, named: String)] = [
            ([:], ["layers.0.q.moment"], "layers.0.q.moment"), ([:], ["layers.0.o.tokens"], "layers.0.o.tokens"),
            ([:], ["layers.0.q.absolute_sum"], "layers.0.q.absolute_sum"),
            (["layers.0.o.moment": (.f64, [1, 2, 3])], [], "layers.0.o.moment"),
            (["layers.0.o.tokens": (.f64, [1])], [], "layers.0.o.tokens"),
            (["layers.0.o.absolute_sum": (.f64, [1, 2])], [], "layers.0.o"),
        ]
        for (tensors, without, named) in cases {
            let path = try forge(tensors: tensors, without: without)
            let error = #expect(throws: StatisticsError.self) { try ActivationStatistics(path: path) }
            #expect(error?.tensor?.hasPrefix(named) == true)
        }
    }

    @Test func numbersThatNoMomentsHaveAreRefused() throws {
        var moment = [Double](repeating: 1, count: 15)
        moment[4] = .nan
        for (name, values) in [
            ("moment", moment), ("absolute_sum", [1, 1, -1, 1, 1]), ("absolute_sum", [1, 1, .infinity, 1, 1]),
        ] {
            let path = try forge(tensors: ["layers.0.o.\(name)": (.f64, values)])
            let statistics = try ActivationStatistics(path: path)
            let error = #expect(throws: StatisticsError.self) { try statistics.moments(of: Self.output) }
            #expect(error?.tensor == "layers.0.o.\(name)")
        }
        // −1 on the diagonal: symmetric, finite, and no second moment.
        var negative = [Double](repeating: 0, count: 15)
        negative[0] = -1
        let statistics = try ActivationStatistics(path: try forge(tensors: ["layers.0.o.moment": (.f64, negative)]))
        let error = #expect(throws: StatisticsError.self) { try statistics.gram(for: "layers.0.o") }
        #expect(error?.tensor == "layers.0.o.moment")
        let counts = try ActivationStatistics(path: try forge(tensors: ["layers.0.o.tokens": (.i64, [-3])]))
        #expect(throws: StatisticsError.self) { try counts.tokens(for: "layers.0.o") }
    }

    /// Gradients towards outputs are kept beside inputs, and found again by the module.
    @Test func gradientsAreReadBackAndAddedAndAskedForByModule() throws {
        var header = Self.header()
        header.gradients = [.gradients(of: "layers.0.q", outputs: 4), .gradients(of: "layers.0.o", outputs: 6)]
        let parts = try (1...2).map { seed in
            let writer = try StatisticsWriter(path: folder.at("g\(seed)"), header: header)
            for sums in header.sums { try writer.append(Self.moments(sums, seed: UInt64(seed)), of: sums) }
            try writer.finish()
            return try ActivationStatistics(path: folder.at("g\(seed)"))
        }
        #expect(parts[0].header == header)
        #expect(parts[0].gradients(of: "layers.0.o")?.features == 6)
        #expect(parts[0].gradients(of: "layers.0.k") == nil)
        #expect(try parts[0].gradientGram(for: "layers.0.k") == nil)
        #expect(parts[0].input(of: "layers.0.q.output_gradient") == nil)

        let gradients = header.gradients[1]
        let expected = Self.moments(gradients, seed: 1)
        let gram = try #require(try parts[0].gradientGram(for: "layers.0.o"))
        #expect(gram.moment.elements == expected.moment.elements)
        let mean = (0..<6).reduce(0) { $0 + expected.moment[$1, $1] } / 6
        #expect(gram.shift >= 1e-3 * mean)

        try StatisticsSum(of: parts).write(to: folder.at("sum")) { _ in }
        let sum = try ActivationStatistics(path: folder.at("sum"))
        let added = Self.moments(gradients, seed: 1)
        added.add(Self.moments(gradients, seed: 2))
        #expect(try sum.moments(of: gradients).moment.elements == added.moment.elements)
        let plain = try write("plain", Self.header())
        #expect(throws: StatisticsError.self) { try StatisticsSum(of: [parts[0], plain]) }
    }
}
