/// What can be wrong with a request before any work.
public enum PlanningError: Error, Equatable, Sendable {
    case badPattern(String, reason: String)
    /// The pattern matches no linear layer.
    case patternMatchesNothing(option: String, pattern: String)
    case layersMissing(String, count: Int)
    /// Patterns and layers leave nothing over.
    case nothingSelected
    /// The smallest possible result is above the target.
    case targetUnreachable(target: String, smallest: String)
}

extension PlanningError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .badPattern(let pattern, let reason):
            "\"\(pattern)\" is not a regular expression: \(reason)"
        case .patternMatchesNothing(let option, let pattern):
            "--\(option) \"\(pattern)\" matches no linear layer; `lowrank inspect CKPT --tensors` lists their names"
        case .layersMissing(let selection, let count):
            "--layers \(selection) names layers that do not exist: the model has \(count), counted from 0"
        case .nothingSelected:
            "no linear layer is selected; widen --include or --layers, or narrow --exclude"
        case .targetUnreachable(let target, let smallest):
            "the target \(target) cannot be reached: the smallest possible result is \(smallest)"
        }
    }
}
