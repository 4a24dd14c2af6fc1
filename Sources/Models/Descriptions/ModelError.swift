/// Why a checkpoint cannot be run, or a text not be run through it.
public enum ModelError: Error, Equatable, Sendable {
    /// `model_type` of a family that has no forward pass here.
    case unsupportedArchitecture(String, supported: [String])
    /// A setting of config.json that changes the arithmetic in a way this program does not have.
    case unsupportedSetting(key: String, value: String)
    /// A setting of config.json that is needed and missing, or makes no sense.
    case badSetting(key: String, expected: String)
    case missingTensor(String)
    case wrongShape(tensor: String, expected: [Int], found: [Int])
    /// A compressed layer or a tensor that cannot be read.
    case unreadable(tensor: String, reason: String)
    case tokenOutOfRange(token: Int, position: Int, vocabulary: Int)
    case tooLong(tokens: Int, limit: Int)
    /// NaN or infinity in the output of a layer, the first one that has it.
    case nonFinite(place: String)
    case noHead
}

extension ModelError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unsupportedArchitecture(let name, let supported):
            "model_type \"\(name)\" cannot be run; supported are \(supported.joined(separator: ", ")) "
                + "(compression works on any model)"
        case .unsupportedSetting(let key, let value):
            "config.json: \(key) \(value) is not supported"
        case .badSetting(let key, let expected):
            "config.json: no usable \"\(key)\"; expected \(expected)"
        case .missingTensor(let name):
            "the model cannot be run: tensor \(name) is missing"
        case .wrongShape(let tensor, let expected, let found):
            "tensor \(tensor) has shape \(found); the configuration needs \(expected)"
        case .unreadable(_, let reason):
            reason
        case .tokenOutOfRange(let token, let position, let vocabulary):
            "token id \(token) at position \(position) is not in the vocabulary of \(vocabulary); the tokenizer, or "
                + "the ids, belong to another model"
        case .tooLong(let tokens, let limit):
            "\(tokens) tokens are more than the \(limit) that the model allows"
        case .nonFinite(let place):
            "\(place) gives numbers that are not finite"
        case .noHead:
            "the model is an encoder without a language-model head"
        }
    }

    /// The tensor that the error is about, where it is about one.
    public var tensor: String? {
        switch self {
        case .missingTensor(let name), .wrongShape(let name, _, _), .unreadable(let name, _): name
        default: nil
        }
    }
}
