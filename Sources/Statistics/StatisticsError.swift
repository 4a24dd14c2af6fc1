import Safetensors

/// What can be wrong with statistics of activations.
public enum StatisticsError: Error, Equatable, Sendable {
    case safetensors(SafetensorsError)
    /// A safetensors file of something else, or of another version.
    case notStatistics(file: String, reason: String)
    /// A tensor that is missing, of another form, or has numbers that no moments have.
    case badTensor(file: String, tensor: String, reason: String)
    /// Statistics of another model than the one at hand.
    case otherModel(file: String, expected: String, found: String)
    /// A layer whose input was not looked at.
    case noInput(file: String, module: String)
    /// A layer whose outputs' gradients were not looked at; `others` where those of other layers were.
    case noGradients(file: String, module: String, others: Bool)
    /// Two files that cannot be added.
    case mismatch(file: String, other: String, reason: String)
}

extension StatisticsError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .safetensors(let error): "\(error)"
        case .notStatistics(let file, let reason): "\(file) is no file of activation statistics: \(reason)"
        case .badTensor(let file, let tensor, let reason): "\(file): \(tensor): \(reason)"
        case .otherModel(let file, let expected, let found):
            "\(file) was collected on another model: its fingerprint is \(found.prefix(16))…, the checkpoint's "
                + "\(expected.prefix(16))…; calibrate this checkpoint"
        case .noInput(let file, let module):
            "\(file) has no statistics for the inputs of \(module)"
        case .noGradients(let file, let module, let others):
            "\(file) has no gradients towards the outputs of \(module); "
                + (others
                    ? "they are collected for layers inside of blocks: give another --objective, or leave it out"
                    : "calibrate with --gradients always, or give another --objective")
        case .mismatch(let file, let other, let reason):
            "\(file) and \(other) cannot be added: \(reason)"
        }
    }

    public var file: String? {
        switch self {
        case .safetensors(let error): error.file
        case .notStatistics(let file, _), .badTensor(let file, _, _), .otherModel(let file, _, _),
            .noInput(let file, _), .noGradients(let file, _, _), .mismatch(let file, _, _):
            file
        }
    }

    public var tensor: String? {
        switch self {
        case .safetensors(let error): error.tensor
        case .badTensor(_, let tensor, _): tensor
        case .noInput(_, let module), .noGradients(_, let module, _): module
        default: nil
        }
    }
}
