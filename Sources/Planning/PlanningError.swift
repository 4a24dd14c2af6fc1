/// What can be wrong with a request before any work.
public enum PlanningError: Error, Equatable, Sendable {
    case badPattern(option: String, pattern: String, reason: String)
    /// The pattern matches no linear layer.
    case patternMatchesNothing(option: String, pattern: String)
    case layersMissing(String, count: Int)
    /// Patterns and layers leave nothing over.
    case nothingSelected
    /// A selected weight has a type that cannot be computed with.
    case unreadableWeight(tensor: String, module: String, dtype: String, file: String)
    /// A selected layer has a form that cannot be compressed further.
    case compressedAlready(module: String, schema: String)
    /// The smallest possible result is above the target.
    case targetUnreachable(target: String, smallest: String)
    /// The model has no group of the kind that a method was asked to compress.
    case nothingToGroup(String, reason: String)
    /// A plan cannot be obeyed.
    case badPlan(module: String?, String)
}

extension PlanningError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .badPattern(let option, let pattern, let reason):
            "--\(option) \"\(pattern)\" is not a regular expression: \(reason)"
        case .patternMatchesNothing(let option, let pattern):
            "--\(option) \"\(pattern)\" matches no linear layer; `lowrank inspect CKPT --tensors` lists their names"
        case .layersMissing(let selection, let count):
            "--layers \(selection) names layers that do not exist: the model has \(count), counted from 0"
        case .nothingSelected:
            "no linear layer is selected; widen --include or --layers, or narrow --exclude"
        case .unreadableWeight(_, let module, let dtype, _):
            "the weight has type \(dtype), which cannot be compressed; expected F64, F32, F16 or BF16 "
                + "(--exclude '\(module)' carries it along untouched)"
        case .compressedAlready(let module, let schema):
            "\(module) is compressed already, as \(schema); compress the original"
        case .targetUnreachable(let target, let smallest):
            "the target \(target) cannot be reached: the smallest possible result is \(smallest)"
        case .nothingToGroup(let group, let reason):
            "there are no \(group) to compress together: \(reason)"
        case .badPlan(let module, let reason):
            "the plan cannot be obeyed: " + (module.map { "\($0): " } ?? "") + reason
        }
    }
}
