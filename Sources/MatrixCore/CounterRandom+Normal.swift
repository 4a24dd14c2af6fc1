import Foundation

extension CounterRandom {
    /// Standard normal, by Box and Muller; each index gives an independent number.
    public func normal(_ index: Int) -> Double {
        let block = philox(counter: UInt64(bitPattern: Int64(index)))
        let first = Double(UInt64(block.0) | UInt64(block.1) << 32) * 0x1p-64
        let second = Double(UInt64(block.2) | UInt64(block.3) << 32) * 0x1p-64
        return (-2 * log(max(first, 0x1p-64))).squareRoot() * cos(2 * .pi * second)
    }

    /// A matrix of independent standard normal numbers.
    public func normalMatrix<Element: MatrixElement>(rows: Int, columns: Int) -> DenseMatrix<Element> {
        DenseMatrix(rows: rows, columns: columns) { Element(normal($0 * columns + $1)) }
    }
}
