import Foundation
import Safetensors

/// Token ids from a file, in place of text.
///
/// JSON: a list of ids is one text, a list of lists are documents. Safetensors: a vector of whole numbers is one text,
/// each row of a matrix a document; the file has one tensor, or one named `input_ids` or `tokens`.
public enum TokenFile: Sendable, Equatable {
    case text([Int32])
    case documents([[Int32]])

    /// - Throws: `TokenSequenceError.notTokens`, naming what is wrong.
    public init(path: String) throws(TokenSequenceError) {
        self = path.hasSuffix(".safetensors") ? try Self.tensor(path) : try Self.json(path)
    }

    private static func json(_ path: String) throws(TokenSequenceError) -> TokenFile {
        let document: JSON
        do {
            document = try JSON.parse(file: path)
        } catch {
            throw .notTokens(file: path, reason: "\(error)")
        }
        guard let list = document.array, let first = list.first else {
            throw .notTokens(file: path, reason: "expected a list of token ids, or a list of such lists")
        }
        if first.array == nil { return .text(try ids(list, path)) }
        var documents: [[Int32]] = []
        for element in list {
            guard let ids = element.array else {
                throw .notTokens(file: path, reason: "a list of lists of token ids has an element that is no list")
            }
            documents.append(try self.ids(ids, path))
        }
        return .documents(documents)
    }

    private static func ids(_ list: [JSON], _ path: String) throws(TokenSequenceError) -> [Int32] {
        var ids: [Int32] = []
        ids.reserveCapacity(list.count)
        for element in list {
            guard let id = element.int.flatMap({ Int32(exactly: $0) }) else {
                throw .notTokens(file: path, reason: "\(element.text(pretty: false)) is no token id")
            }
            ids.append(id)
        }
        return ids
    }

    private static func tensor(_ path: String) throws(TokenSequenceError) -> TokenFile {
        do {
            let file = try SafetensorsFile(path: path)
            let named = file.tensors.filter { ["input_ids", "tokens"].contains($0.name) }
            guard let tensor = file.tensors.count == 1 ? file.tensors.first : named.first, tensor.shape.count <= 2,
                let ids = ids(of: try file.bytes(of: tensor.name), tensor.dtype)
            else {
                throw TokenSequenceError.notTokens(
                    file: path, reason: "expected one vector or matrix of whole numbers, named input_ids or tokens")
            }
            guard tensor.shape.count == 2, let width = tensor.shape.last, width > 0 else { return .text(ids) }
            return .documents(stride(from: 0, to: ids.count, by: width).map { Array(ids[$0..<$0 + width]) })
        } catch let error as TokenSequenceError {
            throw error
        } catch {
            throw .notTokens(file: path, reason: "\(error)")
        }
    }

    /// nil where a number is no id or the type has no whole numbers.
    private static func ids(of bytes: TensorBytes, _ dtype: TensorDType) -> [Int32]? {
        func exact<Number: BinaryInteger>(_ numbers: [Number]) -> [Int32]? {
            let ids = numbers.compactMap { Int32(exactly: $0) }
            return ids.count == numbers.count ? ids : nil
        }
        switch dtype {
        case .i64: return exact(bytes.array(of: Int64.self))
        case .i32: return bytes.array(of: Int32.self)
        case .u32: return exact(bytes.array(of: UInt32.self))
        case .u16: return exact(bytes.array(of: UInt16.self))
        case .i16: return exact(bytes.array(of: Int16.self))
        case .u64: return exact(bytes.array(of: UInt64.self))
        default: return nil
        }
    }
}
