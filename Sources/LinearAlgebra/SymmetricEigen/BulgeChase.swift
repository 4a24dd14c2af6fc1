import Kernels
import MatrixCore
import Synchronization

/// Second stage of the two-stage reduction: B = Q T Qᵀ with B a band matrix and T tridiagonal.
///
/// Sweep s annihilates column s below its first subdiagonal with one reflector on rows s + 1 … s + b; applied from both
/// sides it makes a bulge b rows further down, whose first column the next reflector (step 1) annihilates, and so on to
/// the end of the band. The rest of the bulge is left to the next sweep.
///
/// - Output: T in the band, reflector (s, step) in row s of `vectors` at columns s + 1 + step · b … (v₀ = 1 included),
///   its τ in `taus[s, step]`. Only columns right of the diagonal of `vectors` are written.
/// - Cost: about 7 n² b flops on blocks that stay in cache; no scratch but a few rows.
/// - Source: Murata and Horikoshi, 1975; Lang, "A parallel algorithm for reducing symmetric banded matrices to
///   tridiagonal form", 1993; Haidar, Ltaief and Dongarra, SC 2011.
struct BulgeChase<Element: FactorScalar> {
    let size: Int
    let bandwidth: Int
    /// Sweeps that follow each other closely through the cache.
    let sweepsPerGroup: Int
    /// τ (sweeps × steps).
    private(set) var taus: DenseMatrix<Element>

    init(size: Int, bandwidth: Int, sweepsPerGroup: Int) {
        self.size = size
        self.bandwidth = bandwidth
        self.sweepsPerGroup = sweepsPerGroup
        taus = DenseMatrix(rows: ChaseShape.sweeps(size: size), columns: ChaseShape.steps(size: size, bandwidth: bandwidth))
    }

    static func scratchBytes(size: Int, bandwidth: Int, sweepsPerGroup: Int) -> Int {
        ChaseShape.sweeps(size: size) * ChaseShape.steps(size: size, bandwidth: bandwidth) * MemoryLayout<Element>.stride
            + Threads.count * ChaseGroup<Element>.scratchBytes(bandwidth: bandwidth, sweeps: sweepsPerGroup)
    }

    /// Chases all sweeps; `vectors` (n × n) takes the reflectors right of its diagonal.
    ///
    /// Neighbouring sweeps run as a group, each one step behind the one before, so that the band passes through the
    /// cache once a group. Threads take groups in order; a group's first sweep follows the last of the group before,
    /// two steps behind. What a step reads is thereby always the same, whoever runs it.
    mutating func run(_ band: BandMatrix<Element>, vectors: MutableMatrixView<Element>) {
        let groups = (ChaseShape.sweeps(size: size) + sweepsPerGroup - 1) / sweepsPerGroup
        let factors = taus.mutableView()
        let progress = StepCounters(count: groups)
        let next = Atomic<Int>(0)
        let sweeps = sweepsPerGroup
        parallelFor(Threads.count) { _ in
            let group = ChaseGroup(band: band, sweeps: sweeps, vectors: vectors, taus: factors)
            while true {
                let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                if index >= groups { break }
                group.run(index, progress)
            }
        }
    }
}

/// How many reflectors a chase makes.
enum ChaseShape {
    static func sweeps(size: Int) -> Int { max(0, size - 2) }

    /// Steps of the longest sweep, the first.
    static func steps(size: Int, bandwidth: Int) -> Int {
        max(0, (size - 1 + bandwidth - 1) / bandwidth)
    }
}
