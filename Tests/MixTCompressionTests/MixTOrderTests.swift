import CompressionCore
import Kernels
import MatrixCore
import Testing

@testable import MixTCompression

@Suite struct MixTOrderTests {
    private func shuffled(_ count: Int, seed: UInt64) -> [Int] {
        let random = CounterRandom(seed: seed)
        var places = Array(0..<count)
        for i in stride(from: count - 1, to: 0, by: -1) { places.swapAt(i, random.integer(i, below: i + 1)) }
        return places
    }

    /// ‖W'‖²/‖W‖² of the nearest operator, by the definition: no sums, no projections.
    private func keptEnergy(_ form: MixTForm, _ weight: Matrix64) -> Double {
        let objective = Objective(target: MatrixOperand(weight))
        let whole = sumOfSquares(MatrixOperand(weight))
        return 1 - MixTOracle.leastLoss(form, objective) / whole
    }

    @Test(arguments: [(16, 8, 2, 2), (16, 16, 2, 3), (9, 18, 3, 2)])
    func theEnergyIsThatOfLeastSquaresInTheOrder(m: Int, n: Int, base: Int, branches: Int) throws {
        let form = try #require(MixTForm(rows: m, columns: n, base: base, branches: branches))
        let weight: Matrix64 = CounterRandom(seed: 4).normalMatrix(rows: m, columns: n)
        let found = MixTOrderSearch(form: form, seed: 1).order(of: MatrixOperand(weight))
        #expect(abs(found.naturalEnergy - keptEnergy(form, weight)) < 1e-10)
        let placed = found.order.placed(MatrixOperand(weight))
        #expect(abs(found.energy - keptEnergy(form, placed)) < 1e-10)
        #expect(found.energy > found.naturalEnergy)
    }

    @Test func anOrderIsFoundForPaddedSides() throws {
        let form = try #require(MixTForm(rows: 23, columns: 13, base: 2, branches: 2))
        let weight: Matrix64 = CounterRandom(seed: 4).normalMatrix(rows: 23, columns: 13)
        let found = MixTOrderSearch(form: form, seed: 1).order(of: MatrixOperand(weight))
        #expect(found.order.rows.sorted() == Array(0..<23) && found.order.columns.sorted() == Array(0..<13))
        #expect(found.energy > found.naturalEnergy)
    }

    @Test func theSearchIsTheSameForASeed() throws {
        let form = try #require(MixTForm(rows: 32, columns: 16, base: 2, branches: 2))
        let weight: Matrix64 = CounterRandom(seed: 4).normalMatrix(rows: 32, columns: 16)
        let orders = [1, 1, 2].map { MixTOrderSearch(form: form, seed: $0).order(of: MatrixOperand(weight)).order }
        #expect(orders[0] == orders[1] && orders[0] != orders[2])
    }

    @Test(arguments: [ElementType.float32, .bfloat16], [1, 5, 40])
    func theOperatorMultipliesByWhatItReconstructs(type: ElementType, tokens: Int) throws {
        let (m, n) = (22, 12)
        let form = try #require(MixTForm(rows: m, columns: n, base: 2, branches: 2))
        let order = MixTOrder(rows: shuffled(m, seed: 5), columns: shuffled(n, seed: 6))
        let branches = MixTOracle.randomBranches(form)
        let layer = MixTOperator(form, branches: branches.map { MatrixOperand($0) }, order: order, storedAs: type)
        let natural = MixTOperator(form, branches: branches.map { MatrixOperand($0) }, storedAs: type).reconstruct()
        let weight = layer.reconstruct()
        for i in 0..<m {
            for j in 0..<n { #expect(weight[order.rows[i], order.columns[j]] == natural[i, j]) }
        }
        let x: Matrix = CounterRandom(seed: 9).normalMatrix(rows: tokens, columns: n)
        var y = Matrix(rows: tokens, columns: m)
        layer.apply(x.view, into: y.mutableView())
        for t in 0..<tokens {
            for i in 0..<m {
                let exact = (0..<n).reduce(0.0) { $0 + Double(x[t, $1]) * Double(weight[i, $1]) }
                #expect(abs(Double(y[t, i]) - exact) < 1e-5 * 20)
            }
        }
    }

    @Test(arguments: [false, true])
    func aFittedOrderLosesLessInAnyMetric(weighted: Bool) throws {
        let (m, n) = (24, 32)
        let weight: Matrix64 = CounterRandom(seed: 7).normalMatrix(rows: m, columns: n)
        let inputs: Metric = weighted ? .diagonal((0..<n).map { 1 + Double($0 % 5) }) : .identity
        let objective = Objective(target: MatrixOperand(weight), inputs: inputs)
        let member = GroupMember(module: "m", outFeatures: m, inFeatures: n, factorType: .float32)
        let losses = try [MixTCompressor.OrderChoice.natural, .fitted].map { order in
            let task = CompressionTask(member: member, objective: objective)
            let compressor = MixTCompressor(order: order)
            let outcome = try compressor.compress([task], budget: .keep(0.5))[0]
            guard case .compressed(let layer, let evidence) = outcome else { return Double.nan }
            let planned = try #require(try compressor.size(of: [member], budget: .keep(0.5)))[0]
            #expect(planned.tensors.map(\.name) == layer.tensors.map(\.name))
            #expect(planned.entry == layer.entry && planned.parameters == layer.parameters)
            #expect((evidence.details["fitted_order_energy"] != nil) == (order == .fitted))
            return objective.relativeError(of: layer)
        }
        #expect(losses[1] < 0.95 * losses[0])
    }

    @Test func positionsAreCheckedWhenRead() throws {
        let form = try #require(MixTForm(rows: 8, columns: 8, base: 2, branches: 2))
        let order = MixTOrder(rows: shuffled(8, seed: 1), columns: shuffled(8, seed: 2))
        let layer = MixTOperator(
            form, branches: MixTOracle.randomBranches(form).map { MatrixOperand($0) }, order: order,
            storedAs: .float32)
        let written = Dictionary(uniqueKeysWithValues: layer.tensors.map { ("m.\($0.name)", $0.tensor) })
        func read(_ rows: StoredTensor?) throws -> MixTOperator {
            var tensors = written
            tensors["m.mixt.rows"] = rows
            return try MixTOperator(
                reading: OperatorSource(module: "m", entry: .object(layer.entry)) { tensors[$0] })
        }
        #expect(try read(written["m.mixt.rows"]).reconstruct() == layer.reconstruct())
        let bad: [StoredTensor?] = [
            nil, StoredTensor([0, 1, 2, 3, 4, 5, 6] as [Int32], dtype: .i32),
            StoredTensor([0, 1, 2, 3, 4, 5, 6, 6] as [Int32], dtype: .i32),
            StoredTensor([0, 1, 2, 3, 4, 5, 6, 8] as [Int32], dtype: .i32),
            StoredTensor([0, 1, 2, 3, 4, 5, 6, -1] as [Int32], dtype: .i32),
        ]
        for rows in bad { #expect(throws: OperatorError.self) { try read(rows) } }
    }
}
