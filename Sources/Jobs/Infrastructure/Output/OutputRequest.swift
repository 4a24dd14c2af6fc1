import Foundation
import Safetensors

/// The output of a job and the rules for making it.
public struct OutputRequest: Sendable {
    /// What is written.
    public enum Kind: Sendable {
        case folder
        case file
    }

    public var path: String
    public var kind: Kind
    /// Files and folders that the output must not be, be inside of, or contain; links are followed.
    public var inputs: [String]
    /// An output that exists is replaced, and what an interrupted run left is discarded.
    public var force: Bool
    /// What an interrupted run left is continued.
    public var resume: Bool
    /// The job adds to an output file that exists, and so may replace it.
    public var updates = false

    public init(_ path: String, kind: Kind = .folder, inputs: [String], force: Bool = false, resume: Bool = false) {
        self.path = path
        self.kind = kind
        self.inputs = inputs
        self.force = force
        self.resume = resume
    }

    /// Checks all that can be checked without changing anything; for refusing early, and for `--dry-run`.
    /// - Throws: `JobError` if the output is refused.
    public func validate() throws {
        _ = try resolve()
    }

    /// The place of the output, if it may be written.
    func resolve() throws -> OutputPath {
        let output = try resolvedPath()
        for input in inputs {
            if let relation = output.relation(to: try OutputPath(input)) {
                throw JobError.outputTouchesInput(output: path, input: input, relation: relation)
            }
        }
        switch (kind, try FileSystem.entry(at: output.resolved)) {
        case (_, nil): break
        case (.folder, .folder):
            if try !FileSystem.names(in: output.resolved).isEmpty {
                if !force { throw JobError.outputExists(path) }
                try refuseCurrentFolder(output)
            }
        case (.folder, _): throw JobError.outputIsNotAFolder(path)
        case (.file, .file): if !force && !updates { throw JobError.outputExists(path) }
        case (.file, _): throw JobError.outputIsNotAFile(path)
        }
        return output
    }

    /// Replacing the folder that the user works in, or one above it, is a slip of the finger: `-o . --force`.
    private func refuseCurrentFolder(_ output: OutputPath) throws {
        let relation = output.relation(to: try OutputPath("."))
        guard relation == .same || relation == .contains else { return }
        throw JobError.usage(
            "the output \(path) has the current folder in it, all of which --force would remove; give another output")
    }

    private func resolvedPath() throws -> OutputPath {
        guard !path.isEmpty else { throw JobError.usage("the output has an empty path") }
        do {
            return try OutputPath(path)
        } catch {
            if error.code == ENOTDIR { throw JobError.outputBelowAFile(path) }
            // A link to nothing, or in a circle.
            guard error.code == ENOENT || error.code == ELOOP else { throw error }
            throw kind == .folder ? JobError.outputIsNotAFolder(path) : JobError.outputIsNotAFile(path)
        }
    }
}
