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
/// - Method: X lies in panels of a few columns without gaps. In rounds of some groups of sweeps, the blocks V and T are
///   made, then each thread takes panels through all blocks of the round: the blocks of a round and a panel stay in
///   cache.
/// - Cost: 2 n² c (1 + (g + 24)/4b) flops for c columns; scratch is the blocks of two rounds.
/// - Source: Haidar, Solcà, Gates, Tomov, Schulthess and Dongarra, "A novel hybrid CPU–GPU generalized eigensolver",
///   2014, §4 (diamond-shaped blocks).
struct BulgeReflectors<Source: FactorScalar> {
    let size: Int
    /// b, a multiple of eight.
    let bandwidth: Int
    /// g, sweeps of a block, a multiple of eight.
    let sweepsPerBlock: Int
    /// Reflectors as `BulgeChase` leaves them (n × n, right of the diagonal).
    let vectors: MatrixView<Source>
    /// τ (sweeps × steps).
    let taus: MatrixView<Source>

    /// How large the blocks of a round may be; those of two rounds should leave room in the last-level cache.
    let bytesPerRound: Int

    private var sweeps: Int { ChaseShape.sweeps(size: size) }
    private var groups: Int { (sweeps + sweepsPerBlock - 1) / sweepsPerBlock }
    private var steps: Int { ChaseShape.steps(size: size, bandwidth: bandwidth) }
    /// Rows of a block, and of zeros that panels need below.
    var blockRows: Int { bandwidth + sweepsPerBlock }
    /// Numbers of V and T of one block.
    private var blockCount: Int { (blockRows + sweepsPerBlock) * sweepsPerBlock }
    private func groupsPerRound<Element>(_: Element.Type) -> Int {
        max(1, min(groups, bytesPerRound / (steps * blockCount * MemoryLayout<Element>.stride)))
    }

    /// Bytes besides the panels.
    var scratchBytes: Int {
        let perThread = makingCount + sweepsPerBlock * ReflectorPanels<Double>.width
        let round = groupsPerRound(Double.self) * steps * blockCount
        return (2 * round + Threads.count * perThread) * MemoryLayout<Double>.stride
    }

    /// X ← Q X for X (n × c) in panels with `blockRows` rows of zeros. The products are computed in their type.
    func apply<Element: FactorScalar>(to panels: ReflectorPanels<Element>) {
        precondition(bandwidth % 8 == 0 && sweepsPerBlock % 8 == 0, "blocks are made of groups of eight reflectors")
        let perRound = groupsPerRound(Element.self)
        let blocks = AlignedBuffer<Element>(uninitializedCount: 2 * perRound * steps * blockCount)
        let half = perRound * steps * blockCount
        ReflectorRounds(count: groups, perRound: perRound, pieces: panels.count).run(
            tasks: { $0.count * steps },
            make: { make($0, blocks.base + $1 * half, task: $2) },
            apply: { apply($0, blocks.base + $1 * half, panel: $2, of: panels) })
    }

    /// Steps of the longest sweep of a group, its first.
    private func stepCount(_ group: Int) -> Int { (size - group * sweepsPerBlock - 2) / bandwidth + 1 }

    private func firstRow(_ group: Int, _ step: Int) -> Int { group * sweepsPerBlock + 1 + step * bandwidth }

    private func block<Element>(
        _ blocks: UnsafeMutablePointer<Element>, _ round: Range<Int>, _ group: Int, _ step: Int
    ) -> (v: UnsafeMutablePointer<Element>, t: UnsafeMutablePointer<Element>) {
        let v = blocks + ((group - round.lowerBound) * steps + step) * blockCount
        return (v, v + blockRows * sweepsPerBlock)
    }

    /// Numbers that making a block takes: its own V and T where they are then rounded, VᵀV and τ.
    private var makingCount: Int { blockCount + (sweepsPerBlock + 1) * sweepsPerBlock }

    /// Makes V and T of one block of a round, in the type of the source, and rounds them where that is another.
    private func make<Element: FactorScalar>(
        _ round: Range<Int>, _ blocks: UnsafeMutablePointer<Element>, task: Int
    ) {
        let g = sweepsPerBlock
        let group = round.lowerBound + task / steps
        let step = task % steps
        guard step < stepCount(group) else { return }
        let first = firstRow(group, step)
        let target = block(blocks, round, group, step)
        withUnsafeTemporaryAllocation(of: Source.self, capacity: makingCount) { scratch in
            guard let base = scratch.baseAddress else { return }
            let isRounded = Source.self != Element.self
            let own = base + (g + 1) * g
            let v = isRounded ? UnsafeMutableRawPointer(own) : UnsafeMutableRawPointer(target.v)
            let t = isRounded ? UnsafeMutableRawPointer(own + blockRows * g) : UnsafeMutableRawPointer(target.t)
            Source.reflectorKernels.makeBlock(
                StaggeredBlock(
                    reflectors: vectors.base + group * g * vectors.rowStride + first, rowStride: vectors.rowStride,
                    width: size - first, present: min(g, sweeps - group * g),
                    taus: taus.base + group * g * taus.rowStride + step, tausStride: taus.rowStride,
                    length: bandwidth, count: g, v: v, t: t, work: base))
            guard isRounded else { return }
            // T lies behind V in both.
            convert(
                MatrixOperand(MatrixView(base: own, rows: 1, columns: blockCount, rowStride: blockCount)),
                into: MutableMatrixOperand(
                    MutableMatrixView(base: target.v, rows: 1, columns: blockCount, rowStride: blockCount)))
        }
    }

    /// Takes a panel through the blocks of a round: groups from the last, steps from the first.
    ///
    /// A step is taken by all groups before the next, so that most rows of a block are those of the block before.
    private func apply<Element: FactorScalar>(
        _ round: Range<Int>, _ blocks: UnsafeMutablePointer<Element>, panel: Int, of panels: ReflectorPanels<Element>
    ) {
        let kernel = Element.reflectorKernels.applyBlock
        let bytes = sweepsPerBlock * ReflectorPanels<Element>.width * MemoryLayout<Element>.stride
        withUnsafeTemporaryAllocation(byteCount: bytes, alignment: 64) { memory in
            guard let work = memory.baseAddress else { return }
            for step in 0..<stepCount(round.lowerBound) {
                for group in round.reversed() where step < stepCount(group) {
                    let (v, t) = block(blocks, round, group, step)
                    let isLast = group == round.lowerBound
                    let next = isLast ? (round.upperBound - 1, step + 1) : (group - 1, step)
                    kernel(
                        StaggeredReflectors(
                            v: v, t: t, x: panels.row(firstRow(group, step), of: panel), length: bandwidth,
                            count: sweepsPerBlock, work: work, nextV: block(blocks, round, next.0, next.1).v,
                            nextX: panels.row(firstRow(next.0, next.1), of: panel)))
                }
            }
        }
    }
}
