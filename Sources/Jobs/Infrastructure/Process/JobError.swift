import CommandLineKit

/// What can end a job, beside what is wrong with its input.
public enum JobError: Error, Equatable, Sendable {
    // MARK: The output

    /// The output exists and holds something.
    case outputExists(String)
    /// The output is a file, or a link to nothing; only a folder is ever replaced.
    case outputIsNotAFolder(String)
    /// The output is a folder, a device, or a link to nothing; only a file is ever replaced.
    case outputIsNotAFile(String)
    /// The output is, is inside, or contains an input.
    case outputTouchesInput(output: String, input: String, relation: PathRelation)
    /// Another run writes the same output; `holder` is its process, where known.
    case outputLocked(String, holder: Int?)
    /// An earlier run left finished work, and nothing says what to do with it. `canResume` is whether this job could.
    case leftovers(folder: String, work: String, canResume: Bool)
    /// Something above the output is not a folder.
    case outputBelowAFile(String)
    /// The run to continue is not the same run; each difference is a sentence.
    case journalMismatch(folder: String, differences: [String])

    // MARK: The machine

    case notEnoughSpace(folder: String, needed: Int, available: Int)
    /// A signal asked to stop. `kept` is where finished work stays, if any does.
    case interrupted(kept: String?)

    // MARK: The work

    /// A wrong request that the command line alone cannot show.
    case usage(String)
    case badInput(String, file: String? = nil, tensor: String? = nil)
    case numericFailure(String, file: String? = nil, tensor: String? = nil)
}

/// How two paths lie to each other.
public enum PathRelation: Sendable, Equatable {
    case same
    case inside
    case contains
}

extension JobError: FailureConvertible {
    /// The one place that turns a case into an exit code and a sentence.
    public var failure: Failure {
        switch self {
        case .outputExists, .outputIsNotAFolder, .outputIsNotAFile, .outputTouchesInput, .outputLocked, .leftovers,
            .journalMismatch, .outputBelowAFile:
            outputFailure
        case .notEnoughSpace(let folder, let needed, let available):
            Failure(
                .inputOutput,
                "not enough space in \(folder): \(ByteCount.exact(needed)) needed (\(ByteCount.human(needed))), "
                    + "\(ByteCount.exact(available)) free (\(ByteCount.human(available)))", file: folder)
        case .interrupted(let kept):
            Failure(
                .interrupted,
                kept.map { "interrupted; finished work is kept in \($0), the same command with --resume continues it" }
                    ?? "interrupted")
        case .usage(let message):
            Failure(.usage, message)
        case .badInput(let message, let file, let tensor):
            Failure(.badInput, message, file: file, tensor: tensor)
        case .numericFailure(let message, let file, let tensor):
            Failure(.numericFailure, message, file: file, tensor: tensor)
        }
    }

    private var outputFailure: Failure {
        switch self {
        case .outputExists(let path):
            Failure(
                .usage, "\(path) exists and is not empty; --force replaces it once the new output is complete",
                file: path)
        case .outputIsNotAFolder(let path):
            Failure(.usage, "\(path) exists and is not a folder; give another output", file: path)
        case .outputIsNotAFile(let path):
            Failure(.usage, "\(path) exists and is not a file; give another output", file: path)
        case .outputTouchesInput(let output, let input, let relation):
            Failure(
                .usage, "the output \(output) \(relation.words) the input \(input); give another output", file: output)
        case .outputLocked(let path, let holder):
            Failure(
                .usage, "another run\(holder.map { " (process \($0))" } ?? "") is writing \(path); wait for its end",
                file: path)
        case .leftovers(let folder, let work, let canResume):
            Failure(
                .usage,
                "an interrupted run\(canResume ? "" : " of another command") left \(work) in "
                    + "\(folder); "
                    + (canResume ? "--resume continues it" : "give another output") + ", --force discards it",
                file: folder)
        case .outputBelowAFile(let path):
            Failure(.usage, "\(path) cannot be written: a part of its path is not a folder", file: path)
        case .journalMismatch(let folder, let differences):
            Failure(
                .usage,
                "the interrupted run in \(folder) is not this one: \(differences.joined(separator: "; ")); "
                    + "repeat it as it was, or give --force without --resume to discard it", file: folder)
        default:
            preconditionFailure("not an error of the output")
        }
    }
}

extension PathRelation {
    fileprivate var words: String {
        switch self {
        case .same: "is"
        case .inside: "lies inside"
        case .contains: "contains"
        }
    }
}
