import Foundation
import Safetensors

/// Whether an output fits, asked before the first tensor is read.
public enum SpaceCheck {
    /// - Parameters:
    ///   - bytes: All that will be on the disk at one time: the output, and units and an old output beside it.
    ///   - path: The output; it need not exist.
    /// - Throws: `JobError.notEnoughSpace`; `FileError` if the system does not tell.
    public static func require(bytes: Int, at path: String) throws {
        var folder = try OutputPath(path).resolved
        while try FileSystem.entry(at: folder) == nil, folder != "/" {
            folder = URL(fileURLWithPath: folder).deletingLastPathComponent().path
        }
        let available = try availableBytes(in: folder)
        if bytes > available { throw JobError.notEnoughSpace(folder: folder, needed: bytes, available: available) }
    }

    /// Bytes that this user may still write.
    static func availableBytes(in folder: String) throws(FileError) -> Int {
        var status = statvfs()
        guard statvfs(folder, &status) == 0 else { throw FileError(.read, folder, code: errno) }
        let (bytes, overflow) = Int(clamping: status.f_bavail).multipliedReportingOverflow(by: Int(status.f_frsize))
        return overflow ? .max : bytes
    }
}
