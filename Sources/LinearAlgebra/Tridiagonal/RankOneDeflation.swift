/// What of diag(d) + ρ·z·zᵀ needs no computation.
///
/// An entry whose z is tiny is an eigenpair as it stands. Of two entries with nearly the same d, a plane rotation turns
/// one z to zero. What is left has well separated d and z that are not tiny, which the secular equation needs.
///
/// - Source: LAPACK's dlaed2, with its tolerance 4·ε·max(|d|, |z|); rotations are recorded here and applied to
///   coefficients later, never to vectors.
struct RankOneDeflation {
    /// The plane rotation that took the z of entry p to that of entry q: p' = c·p + s·q, q' = c·q − s·p.
    struct Rotation {
        let p: Int
        let q: Int
        let c: Double
        let s: Double
    }

    private struct Entry {
        let entry: Int
        let d: Double
        let z: Double
    }

    /// Entries left, in ascending order of d: their positions, d and z.
    private(set) var kept: [Int] = []
    private(set) var d: [Double] = []
    private(set) var z: [Double] = []
    /// Entries that are eigenpairs, with their eigenvalue.
    private(set) var deflated: [(entry: Int, value: Double)] = []
    /// In the order in which they were made.
    private(set) var rotations: [Rotation] = []

    /// - Parameters:
    ///   - values: d, ascending.
    ///   - weights: z with norm 1.
    ///   - rho: above zero.
    init(values: [Double], weights: [Double], rho: Double) {
        let largestValue = values.reduce(0) { max($0, $1.magnitude) }
        let largestWeight = weights.reduce(0) { max($0, $1.magnitude) }
        let tolerance = 4 * Double.ulpOfOne * max(largestValue, largestWeight)
        guard rho * largestWeight > tolerance else {
            deflated = values.enumerated().map { ($0, $1) }
            return
        }
        var pending: Entry?
        for entry in values.indices {
            let current = Entry(entry: entry, d: values[entry], z: weights[entry])
            if rho * current.z.magnitude <= tolerance {
                deflated.append((entry, current.d))
            } else if let previous = pending {
                pending = join(previous, current, tolerance)
            } else {
                pending = current
            }
        }
        if let pending { keep(pending) }
    }

    /// Deflates `previous` by a rotation with `current` where their d are close; otherwise keeps it.
    /// - Returns: what is to be compared with the next entry.
    private mutating func join(_ previous: Entry, _ current: Entry, _ tolerance: Double) -> Entry {
        let length = (previous.z * previous.z + current.z * current.z).squareRoot()
        let c = current.z / length, s = -previous.z / length
        guard ((current.d - previous.d) * c * s).magnitude <= tolerance else {
            keep(previous)
            return current
        }
        rotations.append(Rotation(p: previous.entry, q: current.entry, c: c, s: s))
        deflated.append((previous.entry, previous.d * c * c + current.d * s * s))
        return Entry(entry: current.entry, d: previous.d * s * s + current.d * c * c, z: length)
    }

    private mutating func keep(_ entry: Entry) {
        kept.append(entry.entry)
        d.append(entry.d)
        z.append(entry.z)
    }
}
