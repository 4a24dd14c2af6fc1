/// How much of a model to keep.
public enum Target: Sendable, Equatable {
    /// This fraction of the parameters of every selected matrix.
    case keep(Double)
    /// At most this rank.
    case rank(Int)
    /// At most this many numbers in the whole output.
    case parameters(Int)
    /// At most this many bytes of weight files in the whole output.
    case bytes(Int)
    /// This share of Σσ² of every matrix.
    case energy(Double)
    /// At most this relative error of every matrix.
    case error(Double)
    /// What the options of the method state, for instance a number of branches.
    case options
    /// What a plan says of every matrix.
    case plan
}

extension Target: CustomStringConvertible {
    /// As written on a command line.
    public var description: String {
        switch self {
        case .keep(let fraction): "--keep \(fraction)"
        case .rank(let rank): "--rank \(rank)"
        case .parameters(let count): "--target-params \(count)"
        case .bytes(let count): "--target-size \(count)"
        case .energy(let share): "--energy \(share)"
        case .error(let bound): "--max-error \(bound)"
        case .options: "as the options of the method state"
        case .plan: "as planned"
        }
    }
}
