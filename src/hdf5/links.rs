//! Names in groups as HDF5 1.6 wrote them, and h5py and NWB still do: the crate follows hard links there, but not soft ones.

use hdf5_reader::Hdf5File;
use hdf5_reader::btree_v1::collect_btree_v1_leaves_storage;
use hdf5_reader::error::Result;
use hdf5_reader::group::Group;
use hdf5_reader::io::Cursor;
use hdf5_reader::local_heap::LocalHeap;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::link::LinkTarget;
use hdf5_reader::symbol_table::SymbolTableNode;

/// What a name means where it is a soft link: in the scratch space of its entry.
const SOFT: u32 = 2;

/// A name in a group: none, if it is of an object; else the path that it stands for.
pub(super) type Link = (String, Option<String>);

/// The names of soft links in the header of a group of the new form.
pub(super) fn soft(file: &Hdf5File, group: &Group) -> Result<Vec<String>> {
    let header = file.get_or_parse_header(group.address())?;
    let soft = header.messages.iter().filter_map(|m| match m {
        HdfMessage::Link(link) if matches!(link.target, LinkTarget::Soft { .. }) => {
            Some(link.name.clone())
        }
        _ => None,
    });
    Ok(soft.collect())
}

/// All names in a group of the old form; none if it is of the new form.
pub(super) fn old(file: &Hdf5File, group: &Group) -> Result<Option<Vec<Link>>> {
    let header = file.get_or_parse_header(group.address())?;
    let table = header.messages.iter().find_map(|m| match m {
        HdfMessage::SymbolTable(table) => Some(table),
        _ => None,
    });
    let Some(table) = table else { return Ok(None) };
    let (storage, block) = (file.storage(), file.superblock());
    let (offset, length) = (block.offset_size, block.length_size);
    let heap = LocalHeap::parse_at_storage(storage, table.heap_address, offset, length)?;
    let leaves = collect_btree_v1_leaves_storage(
        storage,
        table.btree_address,
        offset,
        length,
        None,
        &[],
        None,
    )?;
    let mut links = Vec::new();
    for (_, address) in leaves {
        let head = storage.read_range(address, 8)?;
        let count = usize::from(u16::from_le_bytes([head[6], head[7]]));
        let entry = 2 * usize::from(offset) + 24;
        let bytes = storage.read_range(address, 8 + count * entry)?;
        let node = SymbolTableNode::parse(&mut Cursor::new(&bytes), offset, length)?;
        for entry in node.entries {
            let name = heap.get_string_storage(entry.link_name_offset, storage)?;
            let target = match entry.cache_type {
                SOFT => {
                    let s = entry.scratch;
                    let at = u32::from_le_bytes([s[0], s[1], s[2], s[3]]);
                    Some(heap.get_string_storage(at.into(), storage)?)
                }
                _ => None,
            };
            links.push((name, target));
        }
    }
    Ok(Some(links))
}
