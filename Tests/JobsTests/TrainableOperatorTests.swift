import CompressionCore
import Jobs
import MatrixCore
import Safetensors
import Testing

/// Gradients of every method's tensors against differences of its own reconstruction, which is linear in each tensor: a
/// central difference of any width is exact but for rounding.
struct TrainableOperatorTests {
    struct Case: CustomTestStringConvertible {
        let method: String
        var values: [String: String] = [:]
        var storage = MethodSettings.Storage.factors
        var budget = Budget.keep(0.5)
        var members = [(24, 18)]
        var heads: [HeadSplit?] = []

        var testDescription: String {
            ([method, storage.rawValue] + values.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" })
                .joined(separator: " ")
        }
    }

    private static let attention: [HeadSplit?] =
        [.outputs, .outputs, .outputs, .inputs].map { HeadSplit(count: 4, axis: $0) }

    static let cases: [Case] = [
        Case(method: "svd"), Case(method: "svd", storage: .pivot),
        Case(method: "svd", storage: .pivot, members: [(18, 25)]),
        Case(method: "tucker"), Case(method: "tucker", storage: .pivot),
        Case(method: "tucker", values: ["tucker-group": "experts"], members: [(20, 18), (20, 18), (20, 18)]),
        Case(
            method: "tucker", values: ["tucker-group": "experts", "tucker-form": "full"], storage: .pivot,
            members: [(20, 18), (20, 18), (20, 18)]),
        Case(
            method: "tucker", values: ["tucker-group": "experts", "tucker-ranks": "2,9,8"], budget: .options,
            members: [(20, 18), (20, 18), (20, 18)]),
        Case(
            method: "tucker", values: ["tucker-group": "heads"], members: Array(repeating: (24, 24), count: 4),
            heads: attention),
        Case(
            method: "tucker", values: ["tucker-group": "heads", "tucker-ranks": "10,4,3"], budget: .options,
            members: Array(repeating: (24, 24), count: 4), heads: attention),
        Case(method: "tt"), Case(method: "tt", values: ["tt-order": "3"]),
        Case(method: "tt", values: ["tt-order": "3"], storage: .pivot),
        Case(method: "tt", values: ["tt-layout": "split"]),
        Case(method: "mixt", values: ["mixt-branches": "2"], budget: .options),
        Case(method: "mixt", values: ["mixt-branches": "3"], budget: .options, members: [(21, 18)]),
        Case(
            method: "svd", values: ["svd-group": "experts"], members: [(20, 18), (20, 18), (20, 18)]),
        Case(
            method: "svd", values: ["svd-group": "experts"], storage: .pivot, members: [(20, 18), (20, 18), (20, 18)]),
        Case(method: "saten"), Case(method: "saten", storage: .pivot),
        Case(method: "saten", values: ["saten-pattern": "2:4"], budget: .keep(0.8), members: [(24, 20)]),
        Case(method: "saten", values: ["saten-low-rank": "tt"]),
    ]

    private func operators(_ form: Case) throws -> [any TrainableOperator] {
        let compressor = try MethodRegistry.compressor(
            form.method, MethodSettings(storage: form.storage, values: form.values))
        let tasks = form.members.enumerated().map { index, size in
            CompressionTask(
                member: GroupMember(
                    module: "layer.\(index)", outFeatures: size.0, inFeatures: size.1, factorType: .float32,
                    heads: form.heads.isEmpty ? nil : form.heads[index]),
                objective: Objective(target: MatrixOperand(Self.matrix(size.0, size.1, seed: UInt64(index) + 1))))
        }
        return try compressor.compress(tasks, budget: form.budget).map { outcome in
            guard case .compressed(let compressed, _) = outcome else {
                Issue.record("stays dense")
                throw CompressionError.impossible(module: "layer", reason: "stays dense")
            }
            return try #require(compressed as? any TrainableOperator)
        }
    }

    private static func matrix(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
        CounterRandom(seed: seed).normalMatrix(rows: rows, columns: columns)
    }

    @Test(arguments: cases)
    func gradientsAreThoseOfTheReconstruction(form: Case) throws {
        // Of what members share, a pivot row belongs to one and is not stored: some member reaches every tensor.
        var reached: [String: Bool] = [:]
        for (index, layer) in try operators(form).enumerated() {
            let module = "layer.\(index)"
            let slopes = Self.matrix(layer.outFeatures, layer.inFeatures, seed: 77)
            let gradients = layer.tensorGradients(ofWeight: slopes.view)
            #expect(gradients.count == layer.numbers.count)
            for (tensor, gradient) in zip(layer.numbers, gradients) {
                let values = try #require(tensor.tensor.floats)
                #expect(gradient.rows == values.rows && gradient.columns == values.columns, "\(tensor.name)")
                let direction = Self.matrix(values.rows, values.columns, seed: 78)
                func value(_ step: Float) throws -> Double {
                    let moved = Matrix(rows: values.rows, columns: values.columns) {
                        values[$0, $1] + step * direction[$0, $1]
                    }
                    let replaced = try layer.replacing(
                        module: module,
                        [
                            tensor.fullName(in: module): StoredTensor(
                                MatrixOperand(moved), as: .float32, shape: tensor.tensor.shape)
                        ])
                    return inner(replaced.reconstruct(), slopes)
                }
                let found = try (value(1) - value(-1)) / 2
                let size = (inner(gradient, gradient) * inner(direction, direction)).squareRoot()
                let name = tensor.fullName(in: module)
                reached[name] = reached[name] == true || size > 0
                #expect(abs(found - inner(gradient, direction)) <= 1e-4 * size, "\(tensor.name) of \(module)")
            }
        }
        #expect(reached.values.allSatisfy { $0 })
    }

    private func inner(_ a: Matrix, _ b: Matrix) -> Double {
        zip(a.elements, b.elements).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }

    @Test(arguments: cases)
    func replacingNumbersByThemselvesChangesNothing(form: Case) throws {
        for (index, layer) in try operators(form).enumerated() {
            let module = "layer.\(index)"
            let same = try layer.replacing(module: module, [:])
            #expect(same.reconstruct() == layer.reconstruct())
            #expect(same.tensors.map(\.name) == layer.tensors.map(\.name))
        }
    }
}
