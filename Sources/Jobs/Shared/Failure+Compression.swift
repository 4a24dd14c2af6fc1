import CommandLineKit
import CompressionCore
import Planning

extension PlanningError: FailureConvertible {
    public var failure: Failure {
        if case .targetUnreachable = self { return Failure(.conditionNotMet, "\(self)") }
        return Failure(.usage, "\(self)")
    }
}

extension CompressionError: FailureConvertible {
    public var failure: Failure {
        switch self {
        case .impossible(let module, _): Failure(.usage, "\(self)", tensor: module)
        case .targetUnreachable: Failure(.conditionNotMet, "\(self)")
        }
    }
}
