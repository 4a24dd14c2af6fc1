import Foundation
import Safetensors

/// Where an output goes, with every link followed, and the names used beside it while it is made.
///
/// The last component need not exist, nor the folders above it.
struct OutputPath: Equatable {
    /// As the user wrote it, for messages.
    let given: String
    /// Absolute, without links, `.` and `..`.
    let resolved: String

    init(_ given: String) throws(FileError) {
        self.given = given
        resolved = try Self.resolve(given)
    }

    /// The folder that gets the new name.
    var parent: String { Self.parent(of: resolved) }

    /// Work in progress: hidden, beside the output and so on the same file system, which renaming needs.
    var staging: String { beside("partial") }
    /// Finished staging folders on their way out; may be removed at any time by anyone.
    var trash: String { beside("trash") }
    /// The output that is being replaced, where the system cannot exchange two folders in one step.
    var previous: String { beside("previous") }

    private func beside(_ purpose: String) -> String {
        "\(parent == "/" ? "" : parent)/.\(Self.lastComponent(of: resolved)).lowrank-\(purpose)"
    }

    /// How this path lies to another; nil if neither holds the other.
    func relation(to input: OutputPath) -> PathRelation? {
        if resolved == input.resolved { return .same }
        if resolved.hasPrefix(input.resolved + "/") || input.resolved == "/" { return .inside }
        if input.resolved.hasPrefix(resolved + "/") || resolved == "/" { return .contains }
        return nil
    }

    // MARK: Resolving

    /// `realpath` of the longest part that exists, followed by the rest.
    private static func resolve(_ path: String) throws(FileError) -> String {
        var existing = absolute(path)
        var missing: [String] = []
        while existing != "/" {
            if let real = realPath(existing) {
                return missing.reduce(real == "/" ? "" : real) { "\($0)/\($1)" }
            }
            // A link to nothing has no real path: writing to it would make a file somewhere else.
            guard errno == ENOENT, try FileSystem.entry(at: existing) == nil else {
                throw FileError(.open, path, code: errno)
            }
            missing.insert(lastComponent(of: existing), at: 0)
            existing = parent(of: existing)
        }
        return missing.reduce("") { "\($0)/\($1)" }
    }

    /// Absolute, without empty components and `.`; `..` behind something that does not exist goes back by name.
    private static func absolute(_ path: String) -> String {
        let start = path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
        var components: [Substring] = []
        for component in start.split(separator: "/") where component != "." {
            let soFar = "/" + components.joined(separator: "/")
            if component == "..", !components.isEmpty, components.last != "..", realPath(soFar) == nil {
                components.removeLast()
            } else {
                components.append(component)
            }
        }
        return "/" + components.joined(separator: "/")
    }

    private static func realPath(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }

    private static func parent(of path: String) -> String {
        let folder = path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex)
        return folder.isEmpty ? "/" : String(folder)
    }

    private static func lastComponent(of path: String) -> String {
        String(path.suffix(from: path.index(after: path.lastIndex(of: "/") ?? path.startIndex)))
    }
}
