import Kernels
import MatrixCore

/// The passage of tokens through the blocks of a train, one block at a time.
///
/// From the last block to the first, the state of a token before block k is [N₁ … N_k, R_k, M_(k+1) … M_p] and the
/// block acts on its middle, so each token and each index of the modes before is one product, without any reordering:
///
///     ((R_(k−1) M_k) × (N_k R_k)) · ((N_k R_k) × (M_(k+1) … M_p))
///
/// From the first to the last, the state is [M₁ … M_(k−1), R_(k−1), N_k … N_p] and the block is used as
/// ((M_k R_k) × (R_(k−1) N_k)). Where nothing is left behind the block the products of all tokens are one.
///
/// - Memory: two states of as many tokens as fit into `scratchNumbers`.
struct TrainSweep {
    /// A block as the left side of a product, and what it does to the length of a state.
    private struct Stage {
        /// (produced × consumed)
        let matrix: MatrixOperand
        /// Numbers of the state behind the part it acts on.
        let behind: Int
    }

    private let stages: [Stage]
    private let inFeatures: Int
    private let outFeatures: Int

    /// About 16 MB for both states.
    private static let scratchNumbers = 1 << 22

    /// - Parameter cores: of the train, one by one.
    init(_ cores: [TrainBlock], modes: TrainModes, blocks ranges: [Range<Int>], direction: TrainRoute.Direction) {
        let ranks = [1] + cores.map(\.right)
        let chain = CoreChain(sizes: modes.sizes, ranks: ranks)
        let outputs = ranges.map { modes.outputs[$0].reduce(1, *) }
        let inputs = ranges.map { modes.inputs[$0].reduce(1, *) }
        let blocks = ranges.map { Self.gathered(chain.contract(cores, $0), modes, $0) }
        inFeatures = modes.inFeatures
        outFeatures = modes.outFeatures
        switch direction {
        case .lastToFirst:
            stages = blocks.indices.reversed().map { index in
                let block = blocks[index]
                return Stage(
                    matrix: Self.folded(block.numbers, block.left * outputs[index], inputs[index] * block.right),
                    behind: outputs[(index + 1)...].reduce(1, *))
            }
        case .firstToLast:
            stages = blocks.indices.map { index in
                Stage(
                    matrix: Self.turned(blocks[index], output: outputs[index], input: inputs[index]),
                    behind: inputs[(index + 1)...].reduce(1, *))
            }
        }
    }

    /// A contracted block [R, (i j i j …), R'] with its output modes before its input modes: [R, M, N, R'].
    static func gathered(_ block: TrainBlock, _ modes: TrainModes, _ range: Range<Int>) -> TrainBlock {
        guard range.count > 1, let last = modes.inputs[range].last else { return block }
        // R is one more output digit before the others, R' belongs to the last input digit.
        let order = InterleavedOrder(
            TrainModes(
                outputs: [block.left] + modes.outputs[range],
                inputs: [1] + modes.inputs[range].dropLast() + [last * block.right]))
        return TrainBlock(
            MatrixOperand(order.matrix(of: block.numbers)), left: block.left, size: block.size, right: block.right)
    }

    /// y ← x · W'ᵀ.
    func apply(_ x: MatrixView<Float>, into y: MutableMatrixView<Float>) {
        let perToken = max(1, stages.reduce(inFeatures) { max($0, $1.matrix.rows * $1.behind * batch(of: $1)) })
        let chunk = max(1, Self.scratchNumbers / perToken)
        for start in stride(from: 0, to: x.rows, by: chunk) {
            let tokens = start..<min(start + chunk, x.rows)
            pass(x.rows(tokens), into: y.rows(tokens))
        }
    }

    private func pass(_ x: MatrixView<Float>, into y: MutableMatrixView<Float>) {
        var state = Matrix(uninitializedRows: x.rows, columns: inFeatures)
        convert(MatrixOperand(x), into: MutableMatrixOperand(state.mutableView()))
        for stage in stages {
            let batch = x.rows * batch(of: stage)
            var next = Matrix(uninitializedRows: batch * stage.matrix.rows, columns: stage.behind)
            run(stage, state, batch, into: next.mutableView())
            state = next
        }
        convert(
            MatrixOperand(state.reshaped(rows: x.rows, columns: outFeatures)), into: MutableMatrixOperand(y))
    }

    /// Products of the stage for one token.
    private func batch(of stage: Stage) -> Int {
        var length = inFeatures
        for other in stages {
            let batch = length / (other.matrix.columns * other.behind)
            if other.matrix.base == stage.matrix.base { return batch }
            length = batch * other.matrix.rows * other.behind
        }
        preconditionFailure("a stage of another sweep")
    }

    private func run(_ stage: Stage, _ state: Matrix, _ batch: Int, into next: MutableMatrixView<Float>) {
        let (produced, consumed, behind) = (stage.matrix.rows, stage.matrix.columns, stage.behind)
        guard behind > 1 else {
            let target = MutableMatrixView(
                base: next.base, rows: batch, columns: produced, rowStride: produced, owner: next.owner)
            multiply(
                MatrixOperand(state.reshaped(rows: batch, columns: consumed)), stage.matrix.transposed, into: target)
            return
        }
        let source = state.reshaped(rows: batch * consumed, columns: behind).view
        let product = { @Sendable (index: Int) in
            multiply(
                stage.matrix, MatrixOperand(source.rows(index * consumed..<(index + 1) * consumed)),
                into: next.rows(index * produced..<(index + 1) * produced))
        }
        // Products of their own on every thread, unless there are too few to share.
        if batch >= 2 * Threads.count { parallelFor(batch, product) } else { (0..<batch).forEach(product) }
    }

    private static func folded(_ numbers: MatrixOperand, _ rows: Int, _ columns: Int) -> MatrixOperand {
        MatrixOperand(
            base: numbers.base, type: numbers.type, rows: rows, columns: columns, rowStride: columns,
            owner: numbers.owner)
    }

    /// [R, M, N, R'] as ((M R') × (R N)): a transpose where a mode is 1, else a copy.
    private static func turned(_ block: TrainBlock, output: Int, input: Int) -> MatrixOperand {
        if output == 1 { return folded(block.numbers, block.left * input, block.right).transposed }
        if input == 1 { return folded(block.numbers, block.left, output * block.right).transposed }
        let consumed = block.left * input
        let produced = output * block.right
        var result = Matrix(uninitializedRows: produced, columns: consumed)
        let target = result.mutableView()
        for left in 0..<block.left {
            for position in 0..<output {
                // (N × R') of the block, to rows (position, R') and columns (left, N).
                let source = MatrixOperand(
                    base: block.numbers.base + (left * output + position) * input * block.right
                        * block.numbers.type.bytes,
                    type: block.numbers.type, rows: input, columns: block.right, rowStride: block.right,
                    owner: block.numbers.owner)
                let part = target.block(
                    rows: position * block.right..<(position + 1) * block.right,
                    columns: left * input..<(left + 1) * input)
                convert(source.transposed, into: MutableMatrixOperand(part))
            }
        }
        return MatrixOperand(result)
    }
}
