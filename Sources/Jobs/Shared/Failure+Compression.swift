import CommandLineKit
import CompressionCore
import Planning

extension PlanningError: FailureConvertible {
    public var failure: Failure {
        switch self {
        case .targetUnreachable: Failure(.conditionNotMet, "\(self)")
        case .unreadableWeight(let tensor, _, _, let file): Failure(.badInput, "\(self)", file: file, tensor: tensor)
        case .compressedAlready(let module, _): Failure(.badInput, "\(self)", tensor: module)
        default: Failure(.usage, "\(self)")
        }
    }
}

extension CompressionError: FailureConvertible {
    public var failure: Failure {
        switch self {
        case .impossible(let module, _): Failure(.usage, "\(self)", tensor: module)
        case .badOption: Failure(.usage, "\(self)")
        case .targetUnreachable: Failure(.conditionNotMet, "\(self)")
        }
    }
}
