import Checkpoints
import CommandLineKit
import CompressionCore
import Kernels
import LinearAlgebra
import Models
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
        case let error as SafetensorsError: self = Failure(error)
        case let error as CheckpointError: self = Failure(error)
        case let error as LinearAlgebraError: self = Failure(error)
        case let error as OperatorError: self = Failure(.badInput, "\(error)", tensor: error.subject)
        case let error as ModelError: self = Failure(error)
        case let error as TokenizerError: self = Failure(.badInput, "\(error)")
        case let error as TokenSequenceError: self = Failure(.badInput, "\(error)")
        case let error as ChoiceError: self = Failure(.badInput, "\(error)")
        case let error as InstructionSetError: self = Failure(.usage, "\(error)")
        default: self = Failure(.inputOutput, "\(error)")
        }
    }

    /// Runs `body`; an error that does not say which file and tensor it is about says so afterwards.
    ///
    ///     let svd = try Failure.naming(file: shard, tensor: "layers.0.mlp.up_proj.weight") { try decompose(w) }
    public static func naming<Result>(file: String?, tensor: String?, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch {
            var failure = Failure(explaining: error)
            if failure.code == .interrupted { throw error }
            failure.file = failure.file ?? file
            failure.tensor = failure.tensor ?? tensor
            throw failure
        }
    }

    /// A file to read that is not there, or is no file, is a wrong input; anything else that the system refuses is the
    /// machine's.
    private init(_ error: FileError) {
        let isInput = [.open, .read, .map, .list].contains(error.operation)
        let isWrong = isInput && (error.isMissingFile || error.isNoFile)
        self = Failure(isWrong ? .badInput : .inputOutput, "\(error)", file: error.path)
    }

    private init(_ error: JSONError) {
        if case .unreadable(let cause) = error.rule {
            self = Failure(cause)
        } else {
            self = Failure(.badInput, "\(error)", file: error.file)
        }
    }

    private init(_ error: SafetensorsError) {
        switch error.rule {
        case .file(let cause): self = Failure(cause)
        case .indexJSON(let cause): self = Failure(cause)
        default: self = Failure(.badInput, "\(error)", file: error.file, tensor: error.tensor)
        }
    }

    private init(_ error: CheckpointError) {
        if let cause = error.systemFailure {
            self = Failure(cause)
        } else {
            self = Failure(.badInput, "\(error)", file: error.filePath, tensor: error.tensor)
        }
    }

    /// A number that is none came with the input; everything else is the arithmetic's.
    private init(_ error: LinearAlgebraError) {
        if case .nonFinite = error {
            self = Failure(.badInput, "\(error)")
        } else {
            self = Failure(.numericFailure, "\(error)")
        }
    }

    /// Numbers that are not finite are the arithmetic's; all else is the checkpoint's or the text's.
    private init(_ error: ModelError) {
        if case .nonFinite = error {
            self = Failure(.numericFailure, "\(error)")
        } else {
            self = Failure(.badInput, "\(error)", tensor: error.tensor)
        }
    }
}
