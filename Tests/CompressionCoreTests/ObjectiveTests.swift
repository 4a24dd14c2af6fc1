import MatrixCore
import Testing

@testable import CompressionCore

@Suite struct ObjectiveTests {
    let error = CounterRandom(seed: 3).normalMatrix(rows: 4, columns: 5) as Matrix64

    /// ‖E X‖² for explicit X is the oracle of the Gram metric.
    @Test func theGramMetricMeasuresTheErrorOfOutputs() throws {
        let x = CounterRandom(seed: 4).normalMatrix(rows: 5, columns: 9) as Matrix64
        let gram = Matrix64(rows: 5, columns: 5) { i, j in (0..<9).reduce(0) { $0 + x[i, $1] * x[j, $1] } }
        var expected = 0.0
        for i in 0..<4 {
            for t in 0..<9 {
                let y = (0..<5).reduce(0) { $0 + error[i, $1] * x[$1, t] }
                expected += y * y
            }
        }
        let metric = Metric.gram(try GramMetric(moment: gram))
        let objective = Objective(target: MatrixOperand(error), inputs: metric)
        #expect(abs(objective.squaredNorm(of: MatrixOperand(error)) - expected) < 1e-10 * expected)
    }

    @Test func diagonalMetricsWeighBothSides() {
        let objective = Objective(
            target: MatrixOperand(error), inputs: .diagonal([1, 2, 3, 4, 5]), outputs: .diagonal([1, 0.5, 2, 1]))
        var expected = 0.0
        for i in 0..<4 {
            for j in 0..<5 {
                let value = error[i, j] * Double(j + 1) * [1, 0.5, 2, 1][i]
                expected += value * value
            }
        }
        #expect(abs(objective.squaredNorm(of: MatrixOperand(error)) - expected) < 1e-12 * expected)
        #expect(!objective.isPlain)
    }
}
