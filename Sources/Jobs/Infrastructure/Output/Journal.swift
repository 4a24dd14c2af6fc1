import Foundation
import Safetensors

/// The finished parts of a long job, on the disk, so that a run that is killed at any point can go on.
///
/// A unit is what is done at once, for instance one group of tensors. It has a data file, if it needs one, and a
/// record. Both appear whole or not at all, and the record appears last: a unit is finished exactly if its record is
/// there.
///
///     for (index, group) in groups.enumerated() {
///         let unit = "group-\(index)"
///         if let record = try journal.record(of: unit) { … ; continue }
///         try interruption.check()
///         let writer = try SafetensorsWriter(path: journal.dataPath(of: unit, ".safetensors"), …)
///         …
///         try writer.finish()
///         try journal.finish(unit, record: ["relative_error": …])
///     }
///
/// Records of different units may be written from different threads.
public struct Journal: Sendable {
    private let folder: String

    init(folder: String) { self.folder = folder }

    /// Where the data of a unit goes. The file must be written under another name, forced to the disk and renamed, as
    /// `AtomicFile` and `SafetensorsWriter` do. Several files of one unit differ by their suffix.
    public func dataPath(of unit: String, _ suffix: String) -> String {
        path(unit) + suffix
    }

    /// A file for what this run alone needs, on the disk of the journal.
    func unnamedFile() throws(FileError) -> UnnamedFile { try UnnamedFile(in: folder) }

    /// What was written down when the unit was finished; nil if it is not finished.
    /// - Throws: `JSONError` if the record cannot be read.
    public func record(of unit: String) throws -> JSON? {
        guard try FileSystem.entry(at: recordPath(unit)) != nil else { return nil }
        return try JSON.parse(file: recordPath(unit))
    }

    /// The records of all finished units, in the order of their names.
    /// - Throws: `FileError` or `JSONError` where one cannot be read.
    public func records() throws -> [JSON] {
        try FileSystem.names(in: folder).filter { $0.hasSuffix(Self.recordSuffix) }
            .map { try JSON.parse(file: "\(folder)/\($0)") }
    }

    /// Marks a unit as finished. Its data must be complete on the disk.
    /// - Parameters:
    ///   - record: What a later run needs beside the data: errors, seconds, evidence.
    ///   - work: What the unit comes to in the words of the job, where that is not one unit; the record is an object
    ///     then.
    public func finish(_ unit: String, record: JSON, work: FinishedWork? = nil) throws(FileError) {
        var record = record
        if let work {
            record[Self.kindKey] = JSON(work.kind.rawValue)
            record[Self.countKey] = JSON(work.count)
        }
        try AtomicFile.write(record.text(pretty: false), to: recordPath(unit))
    }

    /// What the finished units come to, for people: `2 finished units`, `16 finished matrices`.
    func finishedWork() throws -> String {
        let records = try records()
        let kinds = records.map { $0[Self.kindKey]?.string.flatMap(FinishedWork.Kind.init) }
        let kind = kinds.first.flatMap { $0 } ?? .unit
        guard kinds.allSatisfy({ $0 == kind }) else { return FinishedWork(records.count, .unit).text }
        return FinishedWork(records.reduce(0) { $0 + ($1[Self.countKey]?.int ?? 1) }, kind).text
    }

    private static let kindKey = "work_kind", countKey = "work_count"

    /// Units finished by this run and the ones it continues.
    public func finishedUnits() throws(FileError) -> Int {
        try FileSystem.names(in: folder).count { $0.hasSuffix(Self.recordSuffix) }
    }

    private static let recordSuffix = ".unit.json"

    private func recordPath(_ unit: String) -> String { path(unit) + Self.recordSuffix }

    /// Any text is a name: bytes that a file name should not have are written as `%2f`.
    private func path(_ unit: String) -> String {
        var name = ""
        for byte in unit.utf8 {
            let character = Character(Unicode.Scalar(byte))
            if character.isASCII && (character.isLetter || character.isNumber || "-_.".contains(character)) {
                name.append(character)
            } else {
                name += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return "\(folder)/\(name)"
    }
}

/// An amount of finished work that a message can name.
public struct FinishedWork: Sendable {
    /// What is counted.
    public enum Kind: String, Sendable {
        case unit
        case matrix
        case layer
    }

    let count: Int
    let kind: Kind

    public init(_ count: Int, _ kind: Kind) {
        self.count = count
        self.kind = kind
    }

    var text: String {
        let word =
            switch kind {
            case .unit: count == 1 ? "unit" : "units"
            case .matrix: count == 1 ? "matrix" : "matrices"
            case .layer: count == 1 ? "layer" : "layers"
            }
        return "\(count) finished \(word)"
    }
}
