import KernelContract
import MatrixCore

/// Σ a², accumulated in Double in a fixed order.
public func sumOfSquares(_ a: MatrixOperand) -> Double {
    SquareSum(a: a, b: nil, kernels: InstructionSet.active.kernels.streams).run()
}

/// Σ (a − b)², accumulated in Double in a fixed order.
public func sumOfSquaredDifferences(_ a: MatrixOperand, _ b: MatrixOperand) -> Double {
    precondition(a.rows == b.rows && a.columns == b.columns, "shapes do not fit")
    return SquareSum(a: a, b: b, kernels: InstructionSet.active.kernels.streams).run()
}

/// The first element, row by row, that is NaN or infinite.
public func firstNonFinite(_ a: MatrixOperand) -> (row: Int, column: Int)? {
    FiniteCheck(a: a, kernel: InstructionSet.active.kernels.streams.allFinite).run()
}

/// Σ a² or Σ (a − b)²: one sum for each piece, then the sum of the pieces in order.
struct SquareSum {
    let a: MatrixOperand
    let b: MatrixOperand?
    let kernels: StreamKernels

    func run() -> Double {
        let isTransposed = !a.hasContiguousRows && a.transposed.hasContiguousRows
        let oriented = isTransposed ? SquareSum(a: a.transposed, b: b?.transposed, kernels: kernels) : self
        return oriented.joined().sum()
    }

    /// As one long row where all operands lie without gaps.
    private func joined() -> SquareSum {
        let (flatA, flatB) = (a.flattened, b?.flattened)
        guard flatA.rows == 1, flatB == nil || flatB?.rows == 1 else { return self }
        return SquareSum(a: flatA, b: flatB, kernels: kernels)
    }

    private func sum() -> Double {
        let pieces = RowPieces(rows: a.rows, columns: a.columns)
        let sums = AlignedBuffer<Double>(uninitializedCount: pieces.count)
        parallelFor(pieces.count) { index in
            let piece = pieces[index]
            var total = 0.0
            for row in piece.rows {
                total += sum(row, piece.columns)
            }
            sums.base[index] = total
        }
        return (0..<pieces.count).reduce(0) { $0 + sums.base[$1] }
    }

    private func sum(_ row: Int, _ columns: Range<Int>) -> Double {
        let isDirect = a.hasContiguousRows && (b.map { $0.hasContiguousRows && $0.type == a.type } ?? true)
        if isDirect {
            let column = columns.lowerBound
            return sumRun(a.address(row, column), b?.address(row, column), a.type.format, columns.count)
        }
        // Formats that differ and rows with gaps are widened to Double first, a stretch at a time.
        let stretch = 512
        return withUnsafeTemporaryAllocation(of: Double.self, capacity: 2 * stretch) { memory in
            guard let wideA = memory.baseAddress else { return 0 }
            var total = 0.0
            for start in stride(from: columns.lowerBound, to: columns.upperBound, by: stretch) {
                let part = start..<min(start + stretch, columns.upperBound)
                a.gather(row: row, columns: part, into: wideA, kernels)
                b?.gather(row: row, columns: part, into: wideA + stretch, kernels)
                let wideB = b == nil ? nil : UnsafeRawPointer(wideA + stretch)
                total += sumRun(UnsafeRawPointer(wideA), wideB, StorageFormat.float64, part.count)
            }
            return total
        }
    }

    private func sumRun(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer?, _ format: Int, _ count: Int) -> Double {
        var result = 0.0
        withUnsafeMutablePointer(to: &result) {
            kernels.sumSquares(RunSum(a: a, b: b, format: format, count: count, result: $0))
        }
        return result
    }
}

/// Looks for the first piece with a number that is not finite, then for the number.
struct FiniteCheck {
    let a: MatrixOperand
    let kernel: Kernel<RunCheck>

    func run() -> (row: Int, column: Int)? {
        if a.hasContiguousRows {
            return search(a.flattened).map { ($0 / max(a.columns, 1), $0 % max(a.columns, 1)) }
        }
        if a.transposed.hasContiguousRows && search(a.transposed.flattened) == nil {
            return nil
        }
        for i in 0..<a.rows {
            for j in 0..<a.columns where !a[i, j].isFinite { return (i, j) }
        }
        return nil
    }

    /// Position, counted row by row, in an operand with contiguous rows.
    private func search(_ a: MatrixOperand) -> Int? {
        let pieces = RowPieces(rows: a.rows, columns: a.columns)
        let finite = AlignedBuffer<Int>(count: pieces.count, repeating: 1)
        parallelFor(pieces.count) { index in
            let piece = pieces[index]
            for row in piece.rows {
                var result = 1
                withUnsafeMutablePointer(to: &result) {
                    kernel(
                        RunCheck(
                            a: a.address(row, piece.columns.lowerBound), format: a.type.format, count: piece.columns.count,
                            result: $0))
                }
                finite.base[index] = min(finite.base[index], result)
            }
        }
        guard let first = (0..<pieces.count).first(where: { finite.base[$0] == 0 }) else { return nil }
        for row in pieces[first].rows {
            for column in pieces[first].columns where !a[row, column].isFinite {
                return row * a.columns + column
            }
        }
        return nil
    }
}
