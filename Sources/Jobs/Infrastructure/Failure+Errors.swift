import CommandLineKit
import Safetensors

extension Failure {
    /// How the program ends because of an error of any floor: the one place where errors of lower floors, which know
    /// nothing of exit codes, get theirs.
    public init(explaining error: any Error) {
        switch error {
        case let error as Failure: self = error
        case let error as any FailureConvertible: self = error.failure
        case let error as FileError: self = Failure(error)
        case let error as JSONError: self = Failure(error)
        default: self = Failure(.inputOutput, "\(error)")
        }
    }

    /// A file that is not there is a wrong input; anything else that the system refuses is the machine's.
    private init(_ error: FileError) {
        self = Failure(error.isMissingFile ? .badInput : .inputOutput, "\(error)", file: error.path)
    }

    private init(_ error: JSONError) {
        if case .unreadable(let cause) = error.rule {
            self = Failure(cause)
        } else {
            self = Failure(.badInput, "\(error)", file: error.file)
        }
    }
}
