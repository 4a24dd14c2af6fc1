import CompressionCore
import Jobs
import Kernels
import MatrixCore
import Safetensors
import Testing

/// The solver of every method's own form, from numbers that were made for another matrix.
struct AlternatingOperatorTests {
    struct Case: CustomTestStringConvertible {
        let method: String
        var values: [String: String] = [:]
        var storage = MethodSettings.Storage.factors
        var budget = Budget.keep(0.5)
        /// What many sweeps may end at, in units of what a compression for the target itself ends at; positions that
        /// were chosen for another matrix have no such bound.
        var bound: Double? = 1.01

        var testDescription: String {
            ([method, storage.rawValue] + values.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" })
                .joined(separator: " ")
        }
    }

    static let cases: [Case] = [
        Case(method: "svd", budget: .rank(5)), Case(method: "svd", storage: .pivot, budget: .rank(5)),
        Case(method: "tucker", budget: .rank(5)), Case(method: "tucker", storage: .pivot, budget: .rank(5)),
        Case(method: "tt", bound: 1.02), Case(method: "tt", values: ["tt-order": "3"], bound: 1.1),
        Case(method: "tt", storage: .pivot, bound: 1.02),
        Case(method: "tt", values: ["tt-order": "3"], storage: .pivot, bound: 1.1),
        Case(method: "mixt", values: ["mixt-branches": "2"], budget: .options),
        Case(method: "saten", bound: nil), Case(method: "saten", storage: .pivot, bound: nil),
        Case(method: "saten", values: ["saten-low-rank": "tt"], bound: nil),
    ]

    private static func matrix(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
        CounterRandom(seed: seed).normalMatrix(rows: rows, columns: columns)
    }

    private static func metric() throws -> GramMetric {
        let inputs = matrix(60, 18, seed: 7)
        var moment = Matrix64(rows: 18, columns: 18)
        for i in 0..<18 {
            for j in 0..<18 { moment[i, j] = (0..<60).reduce(0) { $0 + Double(inputs[$1, i]) * Double(inputs[$1, j]) } }
        }
        return try GramMetric(moment: moment)
    }

    private static func compressed(
        _ form: Case, _ target: Matrix, _ metric: GramMetric
    ) throws -> any AlternatingOperator {
        let compressor = try MethodRegistry.compressor(
            form.method, MethodSettings(storage: form.storage, values: form.values))
        let task = CompressionTask(
            member: GroupMember(module: "m", outFeatures: 24, inFeatures: 18, factorType: .float32),
            objective: Objective(target: MatrixOperand(target), inputs: .gram(metric)))
        guard case .compressed(let result, _) = try compressor.compress([task], budget: form.budget)[0] else {
            throw CompressionError.impossible(module: "m", reason: "stays dense")
        }
        return try #require(result as? any AlternatingOperator)
    }

    /// Every sweep lowers the error, and many end where a compression for the target does; positions stay.
    @Test(arguments: cases)
    func sweepsEndWhereACompressionDoes(form: Case) throws {
        let weight = Self.matrix(24, 18, seed: 5), metric = try Self.metric()
        let objective = Objective(target: MatrixOperand(weight), inputs: .gram(metric))
        let best = objective.relativeError(of: try Self.compressed(form, weight, metric))
        let start = try Self.compressed(form, Self.matrix(24, 18, seed: 6), metric)
        let target = Matrix64(rows: 24, columns: 18) { Double(weight[$0, $1]) }
        var last = objective.relativeError(of: start)
        #expect(last > 1.2)
        for sweeps in [1, 4, 100] {
            let numbers = try start.alternated(towards: target, metric, sweeps: sweeps)
            #expect(numbers.count == start.numbers.count)
            var tensors: [String: StoredTensor] = [:]
            for (tensor, values) in zip(start.numbers, numbers) {
                let shape = try #require(tensor.tensor.floats)
                #expect(values.rows == shape.rows && values.columns == shape.columns, "\(tensor.name)")
                tensors[tensor.fullName(in: "m")] = StoredTensor(
                    MatrixOperand(values), as: .float32, shape: tensor.tensor.shape)
            }
            let error = objective.relativeError(of: try start.replacing(module: "m", tensors))
            #expect(error <= last * (1 + 1e-5), "\(sweeps) sweeps: \(error) after \(last)")
            last = error
        }
        #expect(last < form.bound.map { $0 * best } ?? 0.9, "\(last), \(best)")
    }
}
