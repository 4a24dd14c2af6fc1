/// How the sides of a matrix (m × n) divide into the modes of a tensor train.
///
/// m = m₁ … m_d and n = n₁ … n_d, the first mode being the most significant digit of an index. Core k of a train
/// carries output mode m_k and input mode n_k, so the matrix is read as a tensor of d axes of s_k = m_k · n_k
/// positions:
///
///     W[(i₁ … i_d), (j₁ … j_d)]  =  T[(i₁ j₁), …, (i_d j_d)]
///
/// Modes of 1 make other forms of trains special cases: all inputs first and then all outputs (the split layout) is
/// out 1,1,m₁,m₂ and in n₁,n₂,1,1; out m,1 and in 1,n is a plain factorisation in two factors.
public struct TrainModes: Sendable, Equatable {
    /// m₁ … m_d.
    public let outputs: [Int]
    /// n₁ … n_d.
    public let inputs: [Int]

    public init(outputs: [Int], inputs: [Int]) {
        precondition(outputs.count == inputs.count && !outputs.isEmpty, "a core has one output and one input mode")
        precondition((outputs + inputs).allSatisfy { $0 > 0 }, "modes are positive")
        self.outputs = outputs
        self.inputs = inputs
    }

    /// Most cores of a train that is read or asked for; a core of fewer than two positions is of no use.
    public static let mostCores = 40
    /// Most features of a side, so that no count of multiply-adds leaves the range of Int.
    public static let mostFeatures = 1 << 20

    /// Modes from outside: nil where their number differs between the sides, or a limit is passed.
    public init?(checking outputs: [Int], _ inputs: [Int]) {
        guard outputs.count == inputs.count, (1...Self.mostCores).contains(outputs.count) else { return nil }
        for side in [outputs, inputs] {
            var product = 1
            for mode in side {
                guard mode > 0, mode <= Self.mostFeatures / product else { return nil }
                product *= mode
            }
        }
        self.init(outputs: outputs, inputs: inputs)
    }

    /// d.
    public var order: Int { outputs.count }
    /// m.
    public var outFeatures: Int { outputs.reduce(1, *) }
    /// n.
    public var inFeatures: Int { inputs.reduce(1, *) }
    /// s₁ … s_d: positions of each core.
    public var sizes: [Int] { zip(outputs, inputs).map { $0 * $1 } }

    /// The largest rank that each of the d − 1 bonds can need: the smaller side of the unfolding there.
    public var bondLimits: [Int] {
        let sizes = sizes
        return (1..<max(order, 1)).map { bond in
            min(sizes[..<bond].reduce(1, *), sizes[bond...].reduce(1, *))
        }
    }

    /// Numbers in the cores of a train with these ranks on its d − 1 bonds.
    public func parameters(ranks: [Int]) -> Int {
        let all = [1] + ranks + [1]
        let sizes = sizes
        return sizes.indices.reduce(0) { $0 + all[$1] * sizes[$1] * all[$1 + 1] }
    }

    /// Why no train of these modes has these ranks without waste; nil where one has.
    ///
    /// A bond can need no more than the core on either side spans: r_k ≤ r_(k−1) s_k and r_k ≤ s_(k+1) r_(k+1).
    public func objection(toRanks ranks: [Int]) -> String? {
        guard ranks.count == order - 1 else {
            return "\(order) cores have \(order - 1) bonds, \(ranks.count) ranks are given"
        }
        let all = [1] + ranks + [1]
        let sizes = sizes
        for bond in 1..<max(order, 1) {
            let limit = min(all[bond - 1] * sizes[bond - 1], sizes[bond] * all[bond + 1])
            if all[bond] > limit {
                return
                    "rank \(all[bond]) is above bond \(bond), which the modes and the ranks beside it limit to \(limit)"
            }
        }
        return nil
    }
}
