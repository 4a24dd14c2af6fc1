import Foundation
import Safetensors

/// A folder of one run in the temporary folder of the system, for files that must have names.
///
/// It goes with the last reference. One that a killed run left behind is removed by the next run that makes one: its
/// lock is free then.
final class ScratchFolder {
    private static let prefix = "lowrank-scratch-"

    let path: String
    private let lock: OutputLock

    /// - Throws: `FileError` where the system refuses.
    init() throws {
        let parent = try OutputPath(FileManager.default.temporaryDirectory.path).resolved
        Self.removeAbandoned(in: parent)
        let place = try OutputPath("\(parent)/\(Self.prefix)\(UUID().uuidString)")
        lock = try OutputLock(place)
        path = place.staging
    }

    deinit {
        // The lock is held until this is done; what cannot be removed is left to the next run.
        try? FileSystem.removeTree(path)
    }

    /// Folders of other users, and those in use, stay.
    private static func removeAbandoned(in parent: String) {
        for name in (try? FileSystem.names(in: parent)) ?? [] {
            guard let place = place(ofStaging: name, in: parent), let lock = try? OutputLock(place) else { continue }
            withExtendedLifetime(lock) { try? FileSystem.removeTree(place.staging) }
        }
    }

    /// The place whose staging folder has the name; nil for anything that is no scratch folder.
    private static func place(ofStaging name: String, in parent: String) -> OutputPath? {
        guard name.hasPrefix("." + prefix),
            let identifier = name.dropFirst(prefix.count + 1).split(separator: ".").first,
            UUID(uuidString: String(identifier)) != nil,
            let place = try? OutputPath("\(parent)/\(prefix)\(identifier)"), place.staging.hasSuffix("/" + name)
        else { return nil }
        return place
    }
}
