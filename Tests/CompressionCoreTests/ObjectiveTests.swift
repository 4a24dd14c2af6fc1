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

    /// What is added to the diagonal is said, is in the factor, and is not in the norm; sizes around a block of
    /// columns.
    @Test(arguments: [(1, 0.0), (5, 0), (5, 0.7), (513, 0), (513, 2)])
    func aRidgeIsPartOfTheFactorAlone(size: Int, ridge: Double) throws {
        let half = CounterRandom(seed: 5).normalMatrix(rows: size, columns: 3) as Matrix64
        let gram = Matrix64(rows: size, columns: size) { i, j in
            (0..<3).reduce(i == j ? 1 : 0) { $0 + half[i, $1] * half[j, $1] }
        }
        let metric = try GramMetric(moment: gram, ridge: ridge)
        #expect(metric.shift == ridge)
        #expect(metric.moment == gram)
        let row = CounterRandom(seed: 6).normalMatrix(rows: 1, columns: size) as Matrix64
        var expected = 0.0, square = 0.0
        for i in 0..<size {
            square += row[0, i] * row[0, i]
            for j in 0..<size { expected += row[0, i] * gram[i, j] * row[0, j] }
        }
        #expect(abs(metric.squaredNorm(of: MatrixOperand(row)) - expected) < 1e-11 * expected)
        let objective = Objective(target: MatrixOperand(row), inputs: .gram(metric))
        #expect(abs(objective.squaredNorm(of: MatrixOperand(row)) - expected - ridge * square) < 1e-11 * expected)
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
