import CompressionCore
import MatrixCore
import Testing

@Suite struct InnerProductTests {
    @Test(arguments: [(0, 3), (1, 1), (5, 7), (64, 33)])
    func itIsTheSumOfProducts(rows: Int, columns: Int) {
        let a: Matrix = CounterRandom(seed: 1).normalMatrix(rows: rows, columns: columns)
        let b: Matrix64 = CounterRandom(seed: 2).normalMatrix(rows: columns, columns: rows)
        var expected = 0.0
        for i in 0..<rows {
            for j in 0..<columns { expected += Double(a[i, j]) * b[j, i] }
        }
        #expect(abs(innerProduct(MatrixOperand(a), MatrixOperand(b).transposed) - expected) < 1e-9)
    }
}
