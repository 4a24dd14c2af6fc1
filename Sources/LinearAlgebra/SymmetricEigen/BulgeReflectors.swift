import KernelContract
import Kernels
import MatrixCore

/// Applies the reflectors of a bulge chase to eigenvectors of the tridiagonal matrix: X ← Q X.
///
/// Reflectors of g neighbouring sweeps at the same step overlap but for one row each; together they are one block
/// I − V T Vᵀ with V (b + g × g) a parallelogram. Reflectors of one sweep touch disjoint rows, and (s, step) meets a
/// later sweep only at its own step and the one before, so within a group the steps may be taken one after another,
/// first step first, and groups from the last to the first.
///
/// - Method: X is copied into panels of a few columns that lie without gaps. In rounds of some groups of sweeps, the
///   blocks V and T are made, then each thread takes panels through all blocks of the round: the blocks of a round and
///   a panel stay in cache.
/// - Cost: 2 n² c (1 + (g + 24)/4b) flops for c columns; scratch is a copy of X and the blocks of a round.
/// - Source: Haidar, Solcà, Gates, Tomov, Schulthess and Dongarra, "A novel hybrid CPU–GPU generalized eigensolver",
///   2014, §4 (diamond-shaped blocks).
struct BulgeReflectors {
    let size: Int
    /// b, a multiple of eight.
    let bandwidth: Int
    /// g, sweeps of a block, a multiple of eight.
    let sweepsPerBlock: Int
    /// Reflectors as `BulgeChase` leaves them (n × n, right of the diagonal).
    let vectors: MatrixView<Double>
    /// τ (sweeps × steps).
    let taus: MatrixView<Double>

    /// Blocks of a round fill a good part of the last-level cache.
    private static let bytesPerRound = 8 << 20
    /// Panels that a thread takes through a round together.
    private static let panelsPerPiece = 2

    private var sweeps: Int { BulgeChase.sweeps(size: size) }
    private var groups: Int { (sweeps + sweepsPerBlock - 1) / sweepsPerBlock }
    private var steps: Int { BulgeChase.steps(size: size, bandwidth: bandwidth) }
    private var blockRows: Int { bandwidth + sweepsPerBlock }
    /// Numbers of V and T of one block.
    private var blockCount: Int { (blockRows + sweepsPerBlock) * sweepsPerBlock }
    private var groupsPerRound: Int {
        max(1, min(groups, Self.bytesPerRound / (steps * blockCount * MemoryLayout<Double>.stride)))
    }

    func scratchBytes(columns: Int) -> Int {
        let panels = ReflectorPanels.count(rows: size + blockRows, columns: columns)
        let round = groupsPerRound * steps * blockCount
        let perThread = sweepsPerBlock * (sweepsPerBlock + StaggeredReflectors.panelColumns + 1)
        return (panels + round + Threads.count * perThread) * MemoryLayout<Double>.stride
    }

    /// X ← Q X in place, X (n × c).
    func apply(to x: MutableMatrixView<Double>) {
        precondition(bandwidth % 8 == 0 && sweepsPerBlock % 8 == 0, "blocks are made of groups of eight reflectors")
        guard sweeps > 0, x.columns > 0 else { return }
        let panels = ReflectorPanels(copying: x.readable, extraRows: blockRows)
        let blocks = AlignedBuffer<Double>(uninitializedCount: groupsPerRound * steps * blockCount)
        for end in stride(from: groups, to: 0, by: -groupsPerRound) {
            let round = max(0, end - groupsPerRound)..<end
            make(round, blocks)
            apply(round, blocks, to: panels)
        }
        panels.copy(into: x)
    }

    /// Steps of the longest sweep of a group, its first.
    private func stepCount(_ group: Int) -> Int { (size - group * sweepsPerBlock - 2) / bandwidth + 1 }

    private func firstRow(_ group: Int, _ step: Int) -> Int { group * sweepsPerBlock + 1 + step * bandwidth }

    private func block(_ blocks: AlignedBuffer<Double>, _ round: Range<Int>, _ group: Int, _ step: Int)
        -> (v: MutableMatrixView<Double>, t: MutableMatrixView<Double>)
    {
        let g = sweepsPerBlock
        let base = blocks.base + ((group - round.lowerBound) * steps + step) * blockCount
        return (
            MutableMatrixView(base: base, rows: blockRows, columns: g, rowStride: g, owner: blocks),
            MutableMatrixView(base: base + blockRows * g, rows: g, columns: g, rowStride: g, owner: blocks)
        )
    }

    /// Makes V and T of all blocks of a round.
    private func make(_ round: Range<Int>, _ blocks: AlignedBuffer<Double>) {
        parallelFor(round.count * steps) { index in
            let group = round.lowerBound + index / steps
            let step = index % steps
            guard step < stepCount(group) else { return }
            let (v, t) = block(blocks, round, group, step)
            gather(group, step, into: v)
            let g = sweepsPerBlock
            withUnsafeTemporaryAllocation(of: Double.self, capacity: g * g + g) { scratch in
                guard let gram = scratch.baseAddress else { return }
                let tau = gram + g * g
                for q in 0..<g {
                    let sweep = group * g + q
                    tau[q] = sweep < sweeps ? taus[sweep, step] : 0
                }
                let product = MutableMatrixView(base: gram, rows: g, columns: g, rowStride: g)
                multiply(MatrixOperand(v.readable.transposed), MatrixOperand(v.readable), into: product)
                CompactWY.triangularFactor(gram: product.readable, taus: tau, into: t)
            }
        }
    }

    /// V (b + g × g): column q is the reflector of sweep g · group + q, zero outside of its own rows.
    private func gather(_ group: Int, _ step: Int, into v: MutableMatrixView<Double>) {
        let first = firstRow(group, step)
        v.base.update(repeating: 0, count: v.rows * v.columns)
        for q in 0..<min(v.columns, sweeps - group * sweepsPerBlock) {
            let source = vectors.base + (group * sweepsPerBlock + q) * vectors.rowStride + first
            for r in q..<max(q, min(q + bandwidth, size - first)) { v.base[r * v.columns + q] = source[r] }
        }
    }

    /// Takes all panels through the blocks of a round: groups from the last, steps from the first.
    private func apply(_ round: Range<Int>, _ blocks: AlignedBuffer<Double>, to panels: ReflectorPanels) {
        let kernel = InstructionSet.active.kernels.reflectors.applyBlock
        let pieces = (panels.count + Self.panelsPerPiece - 1) / Self.panelsPerPiece
        parallelFor(pieces) { piece in
            let chosen = piece * Self.panelsPerPiece..<min((piece + 1) * Self.panelsPerPiece, panels.count)
            let capacity = sweepsPerBlock * StaggeredReflectors.panelColumns
            withUnsafeTemporaryAllocation(byteCount: capacity * MemoryLayout<Double>.stride, alignment: 64) { memory in
                let work = memory.bindMemory(to: Double.self)
                guard let work = work.baseAddress else { return }
                for group in round.reversed() {
                    for step in 0..<stepCount(group) {
                        let (v, t) = block(blocks, round, group, step)
                        for panel in chosen {
                            kernel(
                                StaggeredReflectors(
                                    v: v.base, t: t.base, x: panels.row(firstRow(group, step), of: panel),
                                    length: bandwidth, count: sweepsPerBlock, work: work))
                        }
                    }
                }
            }
        }
    }
}

/// A matrix cut into panels of a few columns, each without gaps, with rows of zeros below.
struct ReflectorPanels: @unchecked Sendable {
    private static var width: Int { StaggeredReflectors.panelColumns }

    let count: Int
    private let rows: Int
    private let columns: Int
    /// (rows + extraRows) · width.
    private let panelCount: Int
    private let buffer: AlignedBuffer<Double>

    /// Numbers of all panels, extra rows included.
    static func count(rows: Int, columns: Int) -> Int { (columns + width - 1) / width * rows * width }

    init(copying x: MatrixView<Double>, extraRows: Int) {
        rows = x.rows
        columns = x.columns
        count = (x.columns + Self.width - 1) / Self.width
        panelCount = (x.rows + extraRows) * Self.width
        buffer = AlignedBuffer(uninitializedCount: count * panelCount)
        parallelFor(count) { [self] panel in
            let width = min(Self.width, columns - panel * Self.width)
            for i in 0..<rows {
                let target = row(i, of: panel)
                target.update(from: x.base + i * x.rowStride + panel * Self.width, count: width)
                (target + width).update(repeating: 0, count: Self.width - width)
            }
            row(rows, of: panel).update(repeating: 0, count: extraRows * Self.width)
        }
    }

    func row(_ i: Int, of panel: Int) -> UnsafeMutablePointer<Double> {
        buffer.base + panel * panelCount + i * Self.width
    }

    func copy(into x: MutableMatrixView<Double>) {
        parallelFor(count) { panel in
            let width = min(Self.width, columns - panel * Self.width)
            for i in 0..<rows {
                (x.base + i * x.rowStride + panel * Self.width).update(from: row(i, of: panel), count: width)
            }
        }
    }
}
