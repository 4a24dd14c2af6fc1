import KernelContract
import MatrixCore

/// Converts between storage formats, rounding to nearest even; shapes are equal. With a transposed operand this is a
/// transposition.
public func convert(_ source: MatrixOperand, into target: MutableMatrixOperand) {
    precondition(source.rows == target.rows && source.columns == target.columns, "shapes do not fit")
    Conversion(source: source, target: target, kernel: InstructionSet.active.kernels.streams.convert).run()
}

struct Conversion {
    let source: MatrixOperand
    let target: MutableMatrixOperand
    let kernel: Kernel<RunConversion>

    func run() {
        if source.hasContiguousRows && target.readable.hasContiguousRows {
            convertRuns()
        } else if source.transposed.hasContiguousRows && target.transposed.readable.hasContiguousRows {
            Conversion(source: source.transposed, target: target.transposed, kernel: kernel).convertRuns()
        } else {
            convertBlocks()
        }
    }

    private func convertRuns() {
        let isOneRun = source.flattened.rows == 1 && target.readable.flattened.rows == 1
        let rows = isOneRun ? 1 : source.rows
        let pieces = RowPieces(rows: rows, columns: isOneRun ? source.rows * source.columns : source.columns)
        parallelFor(pieces.count) { index in
            let piece = pieces[index]
            for row in piece.rows {
                kernel(
                    RunConversion(
                        source: source.address(row, 0) + piece.columns.lowerBound * source.type.bytes,
                        sourceFormat: source.type.format,
                        target: target.address(row, 0) + piece.columns.lowerBound * target.type.bytes,
                        targetFormat: target.type.format, count: piece.columns.count))
            }
        }
    }

    /// Square blocks keep the lines of both sides in L1 while they are read one way and written the other.
    private func convertBlocks() {
        let block = 64
        let across = (source.columns + block - 1) / block
        let down = (source.rows + block - 1) / block
        parallelFor(across * down) { index in
            let rows = (index / across * block)..<min((index / across + 1) * block, source.rows)
            let columns = (index % across * block)..<min((index % across + 1) * block, source.columns)
            withUnsafeTemporaryAllocation(byteCount: block * 16, alignment: 64) { memory in
                guard let base = memory.baseAddress else { return }
                for row in rows {
                    convertRow(row, columns, base)
                }
            }
        }
    }

    /// Gathers part of a row, converts it as a run and scatters the result.
    private func convertRow(_ row: Int, _ columns: Range<Int>, _ memory: UnsafeMutableRawPointer) {
        let gathered = memory
        let converted = memory + columns.count * 8
        copy(source.address(row, columns.lowerBound), source.columnStride, gathered, 1, (columns.count, source.type))
        kernel(
            RunConversion(
                source: gathered, sourceFormat: source.type.format, target: converted, targetFormat: target.type.format,
                count: columns.count))
        copy(converted, 1, target.address(row, columns.lowerBound), target.columnStride, (columns.count, target.type))
    }

    /// Moves elements between runs of different stride.
    private func copy(
        _ source: UnsafeRawPointer, _ sourceStride: Int, _ target: UnsafeMutableRawPointer, _ targetStride: Int,
        _ elements: (count: Int, type: ElementType)
    ) {
        func move<Bits: BitwiseCopyable>(_: Bits.Type) {
            let from = source.assumingMemoryBound(to: Bits.self)
            let to = target.assumingMemoryBound(to: Bits.self)
            for i in 0..<elements.count {
                to[i * targetStride] = from[i * sourceStride]
            }
        }
        switch elements.type {
        case .float64: move(UInt64.self)
        case .float32: move(UInt32.self)
        case .bfloat16, .float16: move(UInt16.self)
        }
    }
}
