import CompressionCore
import Kernels
import MatrixCore
import Testing

@testable import SatenCompression

@Suite struct SparseFitTests {
    private func gram(_ size: Int, samples: Int, seed: UInt64) throws -> Metric {
        let x: Matrix64 = CounterRandom(seed: seed).normalMatrix(rows: size, columns: samples)
        var moment = Matrix64(rows: size, columns: size)
        multiplyByTranspose(MatrixOperand(x), into: moment.mutableView())
        return .gram(try GramMetric(moment: moment))
    }

    /// The definition: sorted by score, then by place.
    private func naive(_ error: Matrix, _ objective: Objective, _ count: Int) -> Set<Int> {
        let h = objective.outputs.featureWeights(count: error.rows)
        let g = objective.inputs.featureWeights(count: error.columns)
        let scores = (0..<error.count).map {
            Double(error.elements[$0] * error.elements[$0]) * h[$0 / error.columns] * g[$0 % error.columns]
        }
        return Set(scores.indices.sorted { (-scores[$0], $0) < (-scores[$1], $1) }.prefix(count))
    }

    private func places(_ entries: SparsePositions) -> Set<Int> {
        var places = Set<Int>()
        for row in 0..<entries.rows {
            for entry in entries.offsets[row]..<entries.offsets[row + 1] {
                places.insert(row * entries.columns + Int(entries.positions[entry]))
            }
        }
        return places
    }

    @Test(arguments: [1, 7, 200, 437, 700], 0..<3)
    func theLargestWeightedEntriesAreChosen(count: Int, metric: Int) throws {
        let error: Matrix = CounterRandom(seed: 5).normalMatrix(rows: 20, columns: 35)
        var objective = Objective(target: MatrixOperand(error))
        if metric == 1 { objective.inputs = .diagonal((0..<35).map { 0.5 + Double($0 % 7) }) }
        if metric == 2 { objective.outputs = try gram(20, samples: 60, seed: 6) }
        let chosen = SparseSelection(pattern: .topk, count: count, objective: objective).positions(in: error)
        #expect(chosen.count == count && places(chosen) == naive(error, objective, count))
    }

    @Test func tiesGoToTheFirst() {
        let error = Matrix(rows: 3, columns: 4) { _, _ in -2 }
        let objective = Objective(target: MatrixOperand(error))
        let chosen = SparseSelection(pattern: .topk, count: 5, objective: objective).positions(in: error)
        #expect(places(chosen) == [0, 1, 2, 3, 4])
        let groups = SparseSelection(pattern: .groups(kept: 1, of: 2), count: 6, objective: objective).positions(
            in: error)
        #expect(places(groups) == [0, 2, 4, 6, 8, 10])
        let zero = Matrix(rows: 3, columns: 4)
        let nothing = SparseSelection(pattern: .topk, count: 2, objective: objective).positions(in: zero)
        #expect(places(nothing) == [0, 1])
    }

    @Test func groupsTakeTheirLargest() {
        let error = Matrix(rows: 2, columns: 8, elements: [1, -4, 3, 2, 0, 0, 5, 1, 9, 8, 7, 6, -1, -2, -3, -4])
        let objective = Objective(target: MatrixOperand(error))
        let chosen = SparseSelection(pattern: .groups(kept: 2, of: 4), count: 8, objective: objective).positions(
            in: error)
        #expect(chosen.positions == [1, 2, 6, 7, 0, 1, 6, 7] && chosen.offsets == [0, 4, 8])
    }

    @Test func valuesOfDiagonalMetricsAreTheEntries() {
        let error: Matrix = CounterRandom(seed: 5).normalMatrix(rows: 6, columns: 9)
        let objective = Objective(target: MatrixOperand(error), inputs: .diagonal((1...9).map { Double($0) }))
        let chosen = SparseSelection(pattern: .topk, count: 20, objective: objective).positions(in: error)
        let values = SparseFit(positions: chosen, objective: objective).values(for: error)
        #expect(values == places(chosen).sorted().map { Double(error.elements[$0]) })
    }

    /// At the optimum the gradient vanishes at every position, whatever the others are.
    @Test func valuesOfGramMetricsAreTheOptimum() throws {
        let error: Matrix = CounterRandom(seed: 5).normalMatrix(rows: 12, columns: 15)
        var objective = Objective(target: MatrixOperand(error), inputs: try gram(15, samples: 40, seed: 7))
        objective.outputs = try gram(12, samples: 50, seed: 8)
        let chosen = SparseSelection(pattern: .topk, count: 60, objective: objective).positions(in: error)
        var fit = SparseFit(positions: chosen, objective: objective)
        func rest(_ values: [Double]) -> Matrix64 {
            var rest = Matrix64(rows: 12, columns: 15) { Double(error[$0, $1]) }
            for (place, value) in zip(places(chosen).sorted(), values) { rest[place / 15, place % 15] -= value }
            return rest
        }
        let plain = places(chosen).sorted().map { Double(error.elements[$0]) }
        let start = objective.squaredNorm(of: MatrixOperand(rest(plain)))
        var last = start
        for steps in [1, 2, 5] {
            fit.mostSteps = steps
            let loss = objective.squaredNorm(of: MatrixOperand(rest(fit.values(for: error))))
            #expect(loss < last)
            last = loss
        }
        fit.mostSteps = 500
        fit.leastGain = 1e-15
        let weighed = objective.weighed(MatrixOperand(rest(fit.values(for: error))))
        let largest = places(chosen).reduce(0) { max($0, abs(weighed[$1 / 15, $1 % 15])) }
        #expect(largest * largest < 1e-8 * start)
    }
}
